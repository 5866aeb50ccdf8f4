import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Guest } from '../../src/guest/guest.ts'
import { Scheduler } from '../../src/guest/scheduler.ts'
import { Memory } from '../../src/machine/memory.ts'
import { recountMachine } from '../../src/run/check/recount.ts'
import { buildDomU } from '../../src/toolstack/build-domu.ts'
import { ConsoleRing } from '../../src/toolstack/console-ring.ts'
import { readImage } from '../../src/toolstack/image/image.ts'
import { Xenstore } from '../../src/toolstack/xenstore.ts'
import { SCHED_OP } from '../../src/xen/abi.ts'
import { xenVersion } from '../../src/xen/versions/index.ts'
import { Xen } from '../../src/xen/xen.ts'
import { kernelOf } from '../tools/tiny-kernel.ts'

/** A kernel that writes a letter to its console three times, a while after each other, and shuts down. */
function kernel(letter: string, delay: number): Buffer {
  return kernelOf(`         mov rbp, rsi                ; start_info; the console's ring is two pages behind it
             mov ebx, 3
     again:  mov ecx, [rbp + 0x2c0c]     ; out_prod
             mov edx, ecx
             and edx, 0x7ff
             mov byte [rbp + rdx + 0x2400], ${letter.charCodeAt(0)}
             inc dword [rbp + 0x2c0c]
             mov eax, [rbp + 0x50]       ; the console's port
             push rax
             mov edi, 4                  ; EVTCHNOP_send
             mov rsi, rsp
             mov eax, event_channel_op
             syscall
             rdtsc                       ; a tick is a nanosecond of system time
             shl rdx, 32
             or rax, rdx
             add rax, ${delay}
             push rax                    ; poll no port until then
             push 0
             push 0
             mov edi, ${SCHED_OP.poll}
             mov rsi, rsp
             mov eax, sched_op
             syscall
             add rsp, 32
             dec ebx
             jne again
             push 0
             mov edi, ${SCHED_OP.shutdown}
             mov rsi, rsp
             mov eax, sched_op
             syscall`)
}

const PAGES = 1024

/** Two domains of one machine, each with a core of its own: what they wrote, in order, and what they executed. */
function runTwo(): { text: string; instructions: number[]; now: number } {
  const ram = [{ start: 0, end: 0x100 + 4 * PAGES }]
  const xen = new Xen(xenVersion('4.17'), { ram, map: [] }, new Memory())
  let text = ''
  const guests = [kernel('a', 1_000_000), kernel('b', 2_500_000)].map((elf, n) => {
    const image = readImage(elf, 'kernel')
    const start = buildDomU(xen, {
      id: n + 1,
      image,
      imageName: 'kernel',
      initrd: null,
      commandLine: '',
      nrPages: PAGES,
      storePort: 1,
      consolePort: 2,
      memoryMap: null,
    })
    new Xenstore(xen, start.domain, start.storeMfn, new Map())
    new ConsoleRing(xen, start.domain, start.consoleMfn, (bytes) => {
      text += Buffer.from(bytes).toString('latin1')
    })
    return new Guest(xen, start.vcpu, image.entry)
  })
  const scheduler = new Scheduler(xen, guests)
  assert.equal(scheduler.run(1_000_000), 'idle')
  assert.deepEqual(
    guests.map((guest) => scheduler.endOf(guest)),
    ['shutdown', 'shutdown'],
  )
  assert.deepEqual(recountMachine(xen), [])
  return { text, instructions: guests.map(({ cpu }) => cpu.instructions), now: xen.clock.now }
}

test('two kernels run as two domains of one machine, each on its own core, by the lowest deadline', () => {
  const once = runTwo()
  // a at 0, 1 and 2 ms, b at 0, 2.5 and 5 ms.
  assert.equal(once.text, 'abaabb')
  assert.ok(once.now >= 7_500_000 && once.now < 7_600_000, String(once.now))
  assert.deepEqual(runTwo(), once)
})
