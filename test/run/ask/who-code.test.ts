import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hexVa } from '../../../src/bits/address.ts'
import { whoLines } from '../../../src/cli/verbs/who/who.ts'
import { sinceText } from '../../../src/run/ask/moment.ts'
import { type HolderResult, who } from '../../../src/run/ask/who.ts'
import { why } from '../../../src/run/ask/why.ts'
import { guestRun, KernelRun, type KernelSpec } from '../../../src/run/kernel/kernel-boot.ts'
import { listeningIo } from '../../tools/listening-io.ts'
import { kernelOf, MMUEXT_ON_STACK } from '../../tools/tiny-kernel.ts'
import { windowKernel } from '../../tools/window-kernel.ts'

/** A kernel of code, and the address of the first page behind that, of zeros: `data` of the assembler's text. */
const specOf = (bytes: Uint8Array, timeLimit = 0.01): KernelSpec => ({
  kernel: { name: 'k', bytes },
  memory: 4096,
  timeLimit,
})
const DATA = 'va:ffffffff80101000'

const entriesOf = (holders: readonly HolderResult[]): HolderResult[] =>
  holders.filter(({ kind }) => kind === 'entry')

/** Of an entry, its frame and whether it is there and writable: what no CPU and no Xen changes in these tests. */
const told = (value: bigint): bigint => value & 0xf_ffff_ffff_f003n

/**
 * By which instructions some entries came to be what they are, by the guest's memory alone: every instruction of the run is one step.
 */
function storesOf(spec: KernelSpec, entries: readonly HolderResult[]): { at: number; rip: string }[] {
  const run = new KernelRun(spec, { keepsConsole: false })
  const { guest, xen } = run.machine
  const words = xen.memory.u32
  const looks = entries.map(({ table, slot = 0, entry = '' }) => {
    const place = xen.memory.frameWords(Number(table)) + slot * 2
    return () => told((BigInt(words[place + 1]) << 32n) | BigInt(words[place])) === told(BigInt(entry))
  })
  const found = entries.map(() => ({ at: 0, rip: '' }))
  let before = looks.map((look) => look())
  const last = Math.max(...entries.map(({ since }) => since.instruction ?? 0)) + 2000
  while (guest.cpu.instructions < last) {
    const rip = `0x${hexVa(guest.rip)}`
    run.step(1)
    const after = looks.map((look) => look())
    for (const [i, isThere] of after.entries()) {
      if (isThere && !before[i]) found[i] = { at: guest.cpu.instructions, rip }
    }
    before = after
  }
  return found
}

test('entries that code has stored have their instructions, each its own; those of the builder are built', () => {
  const spec = specOf(windowKernel(''))
  const result = who({ guest: guestRun(spec) }, DATA)
  const entries = entriesOf(result.holders)
  // Its own place in the kernel's mapping, and a whole table of entries that are all alike.
  assert.equal(entries.length, 513)
  const [own] = entries.filter(({ addresses }) => addresses?.includes('0xffffffff80101000'))
  assert.deepEqual(own.since, { event: 0, what: 'the domain builder' })
  const stored = entries.filter((entry) => entry !== own)
  const some = [stored[0], stored[1], stored[300], stored[511]]
  assert.deepEqual(
    some.map(({ since }) => ({ at: since.instruction, rip: since.at })),
    storesOf(spec, some),
  )
  for (const { since, counted } of stored) {
    assert.equal(since.after, undefined)
    assert.match(counted?.what ?? '', /^mmu_update of mfn [0-9a-f]+, slot 300 to /)
  }
  assert.equal(new Set(stored.map(({ since }) => since.instruction)).size, 512)
  assert.equal(result.runs, 3)
  assert.ok((result.steps ?? 0) > 512 && (result.steps ?? 0) < 20_000, `${result.steps} steps`)
  const lines = whoLines(result, listeningIo().io).map(String)
  assert.equal(lines.filter((line) => /since it was built/.test(line)).length, 2)
  assert.match(
    lines.join('\n'),
    / {6}since a store at ffffffff8010[0-9a-f]{4}, instruction \d+, after event \d+/,
  )
  assert.match(lines.at(-1) ?? '', /^for this the guest was run 3 times, \d+ instructions of it one by one$/)
})

/** Stores an entry for `data`'s frame into slot 5 of `spare`, takes it away, and stores it again, with hypercalls in between. */
const TWICE = `
        mov rdi, spare
        mov r8, r14
        shl r8, 12
        or r8, 0x67
        mov [rdi + 40], r8
        mov eax, xen_version
        xor edi, edi
        xor esi, esi
        syscall
        mov rdi, spare
        xor ecx, ecx
        mov [rdi + 40], rcx
        mov eax, xen_version
        xor edi, edi
        xor esi, esi
        syscall
        mov rdi, spare
        mov [rdi + 40], r8
        mov r12, spare
        call frame
        push rax
        mov rsi, rax
        shl rsi, 12
        or rsi, 0x65
        mov rdi, spare
        mov edx, 2
        mov eax, update_va_mapping
        syscall
        push 0                        ; MMUEXT_PIN_L1_TABLE
${MMUEXT_ON_STACK}
        push r14
        push 0
        mov rdi, rsp
        mov esi, 1
        xor edx, edx
        mov r10d, 0x7ff0
        mov eax, mmuext_op
        syscall`

test('an entry that came, went and came again is there since the last time, and the pin of its table counted it', () => {
  const spec = specOf(windowKernel(TWICE))
  const { frame, refused } = why({ guest: guestRun(spec) })
  assert.match(refused.what, /^mmuext_op PIN_L1_TABLE mfn [0-9a-f]+ = -22$/)
  // The window's table is full of such entries, and was counted by the entry of the root.
  const single = entriesOf(frame.holders).find(({ counted }) => counted?.what.startsWith('mmuext_op'))
  assert.ok(single !== undefined)
  assert.equal(single.slot, 5)
  const { instruction: at, at: rip } = single.since
  assert.deepEqual({ at, rip }, storesOf(spec, [single])[0])
  const pinned = `mmuext_op PIN_L1_TABLE mfn ${(single.table ?? '').slice(2)}`
  assert.equal(single.counted?.what, pinned)
})

/** Stores 14 entries for the page of `data` to another page, each in the middle of a stretch of code without any request. */
const SLOW = kernelOf(
  `
        mov rbx, [rsi + 104]
        mov rax, [rbx + 2056]
        mov r8, rax
        shl r8, 12
        or r8, 0x67
        mov rdi, text
        add rdi, 0x2000
        mov r13d, 14
next:   mov [rdi], r8
        add rdi, 8
        mov ecx, 150000
wait:   dec ecx
        jnz wait
        dec r13d
        jnz next
        mov rax, [rbx + 2064]
        push rax
        mov rsi, rax
        shl rsi, 12
        or rsi, 0x65
        mov rdi, text
        add rdi, 0x2000
        mov edx, 2
        mov eax, update_va_mapping
        syscall
        push 0
${MMUEXT_ON_STACK}
stay:   jmp stay`,
  { room: 0x4000 },
)

test('what it would take too long to find is said to be between two instructions', () => {
  const spec = specOf(SLOW, 0.006)
  const result = who({ guest: guestRun(spec) }, DATA)
  const stored = entriesOf(result.holders).filter(({ since }) => since.instruction !== undefined)
  assert.equal(stored.length, 14)
  assert.ok((result.steps ?? 0) <= 2_000_000 && (result.steps ?? 0) > 1_000_000, `${result.steps} steps`)
  const [found, between] = [true, false].map((isFound) =>
    stored.filter(({ since }) => (since.after === undefined) === isFound),
  )
  assert.ok(found.length >= 8 && between.length >= 2, `${found.length} and ${between.length}`)
  // mov [rdi], r8 is there once, and mov rbx, [rsi + 104] is where the kernel begins.
  const at = SLOW.indexOf('4c898427', 'hex') - SLOW.indexOf('488b9c26', 'hex')
  for (const { since } of found) assert.equal(since.at, `0xffffffff801000${at.toString(16)}`)
  // Where they are known to be, they are.
  const first = found[0].since.instruction ?? 0
  for (const { slot = 0, since } of between) {
    const truth = first + (slot - (found[0].slot ?? 0)) * 300_005
    assert.ok((since.after ?? 0) < truth && truth <= (since.instruction ?? 0), `slot ${slot}`)
    assert.match(sinceText(since), /^since a store, between instructions \d+ and \d+, after event \d+$/)
  }
  for (const { counted } of stored) assert.match(counted?.what ?? '', /^mmuext_op PIN_L1_TABLE/)
})

test('a guest of a snapshot has its entries since before that, and not since it was built', () => {
  const spec = specOf(windowKernel(''))
  const first = new KernelRun(spec)
  first.runToEnd()
  const restore = { name: 's', bytes: first.snapshot() }
  const result = who({ guest: guestRun({ restore, timeLimit: 0.03 }) }, DATA)
  assert.ok(result.holders.length > 513)
  for (const { since } of result.holders) assert.equal(sinceText(since), 'since before the snapshot')
  assert.equal(result.history[0].what, 'the snapshot')
})
