import { hex64, hexVa, slotAt, vaOf } from '../../bits/address.ts'
import { entryFrame, PSE } from '../../bits/pte.ts'
import { walk } from '../../machine/vcpu/mmu.ts'
import { RSP, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { copyFromGuest, isGuestAddress } from '../mm/guest-copy.ts'
import type { PvVcpu } from '../pv-vcpu.ts'
import { eventsMasked } from '../sched/vcpu-info.ts'
import { CR0, CR4, TASK_SWITCHED } from './control-registers.ts'

/**
 * What Xen prints of a vCPU when its domain dies, in Xen's layout. A value that the driver's guest does not have (a
 * model kernel has no rbx) is sixteen question marks: nothing is made up.
 */
const UNKNOWN = '?'.repeat(16)

const ROWS: readonly (readonly [name: string, register: number])[][] = [
  [
    ['rax', 0],
    ['rbx', 3],
    ['rcx', 1],
  ],
  [
    ['rdx', 2],
    ['rsi', 6],
    ['rdi', 7],
  ],
  [
    ['rbp', 5],
    ['rsp', RSP],
    ['r8', 8],
  ],
  [
    ['r9', 9],
    ['r10', 10],
    ['r11', 11],
  ],
  [
    ['r12', 12],
    ['r13', 13],
    ['r14', 14],
  ],
]

/** Segment registers in the order of the dump, with their numbers and what a kernel has in them. */
const SELECTORS = [
  ['ds', 3, 0],
  ['es', 0, 0],
  ['fs', 4, 0],
  ['gs', 5, 0],
  ['ss', 2, 0xe02b],
  ['cs', 1, 0xe033],
] as const

function selectorText(selector: number): string {
  return selector.toString(16).padStart(4, '0')
}

/** Banner, registers and stack: show_registers() and show_guest_stack(). */
export function dumpGuest(xen: Hypervisor, vcpu: PvVcpu): void {
  const { domain, port } = vcpu
  const line = (text: string): void => xen.console.xen(text)
  const value = (register: number): string =>
    port.has(register) || port.code !== null
      ? hex64(port.regs[register * 2], port.regs[register * 2 + 1])
      : UNKNOWN
  const field = (name: string, digits: string): string => `${`${name}:`.padEnd(4)} ${digits}`
  const { messages } = xen.version
  const named = messages.namesVcpu ? ` (d${domain.id}v${vcpu.id})` : ''

  line(`----[ ${xen.version.banner} ]----`)
  line('CPU:    0')
  const rip = port.code === null ? port.rip : hex64(port.code.ripLow, port.code.ripHigh)
  line(`RIP:    e033:[<${rip === '' ? UNKNOWN : rip}>]`)
  const { code } = port
  const flags = code === null ? UNKNOWN : hex64(code.getFlags(), 0)
  line(`RFLAGS: ${flags}   EM: ${eventsMasked(xen, vcpu) ? 1 : 0}   CONTEXT: pv guest${named}`)
  for (const row of ROWS) line(row.map(([name, register]) => field(name, value(register))).join('   '))
  const cr0 = code === null ? UNKNOWN : hex64(CR0 | (code.fpuTraps ? TASK_SWITCHED : 0), 0)
  const cr4 = code === null ? UNKNOWN : hex64(CR4, 0)
  line([field('r15', value(15)), field('cr0', cr0), field('cr4', cr4)].join('   '))
  const cr3 = port.root * 4096
  line(
    [
      field('cr3', hex64(cr3 >>> 0, Math.floor(cr3 / 0x1_0000_0000))),
      field('cr2', hexVa(port.faultAddress)),
    ].join('   '),
  )
  if (messages.dumpsSegmentBases) {
    const [fs, gs] = [code?.segmentBase('fs'), code?.segmentBase('gs')]
    const base = (words: readonly [number, number] | undefined): string =>
      words === undefined ? UNKNOWN : hex64(...words)
    const other = code === null ? undefined : vcpu.otherGsBase
    line(`fsb: ${base(fs)}   gsb: ${base(gs)}   gss: ${base(other)}`)
  }
  line(
    SELECTORS.map(([name, n, usual]) => `${name}: ${selectorText(code?.selector(n) ?? usual)}`).join('   '),
  )
  line(`Guest stack trace from rsp=${value(RSP)}:`)
  if (!port.has(RSP)) line('  unknown: the guest has no stack pointer')
  else guestStack(xen, port)
}

/** A stack of a kernel is at most 32 KiB: where the block that holds the stack pointer ends, the trace does. */
const STACK_BLOCK = 0x8000
const ROWS_OF_STACK = 20
const WORDS_IN_ROW = 4

/** The words on the guest's stack, from the stack pointer up: show_guest_stack(). */
function guestStack(xen: Hypervisor, port: Vcpu): void {
  let va = vaOf(port.regs[RSP * 2], port.regs[RSP * 2 + 1])
  if (!isGuestAddress(va)) {
    xen.console.xen('  Guest-inaccessible memory.')
    return
  }
  const out = new Uint32Array(2)
  let row = ' '
  let words = 0
  for (; words < ROWS_OF_STACK * WORDS_IN_ROW; words++, va += 8) {
    // The test looks back by a byte, so a pointer that is the very end of a block has nothing above it.
    if (Math.floor((va - 1) / STACK_BLOCK) !== Math.floor((va + 7) / STACK_BLOCK)) break
    if (!copyFromGuest(port, va, out, 2)) {
      if (words > 0) xen.console.xen(row)
      xen.console.xen(`${words > 0 ? '    ' : '  '}Fault while accessing guest memory.`)
      return
    }
    if (words > 0 && words % WORDS_IN_ROW === 0) {
      xen.console.xen(row)
      row = ' '
    }
    row += `${words % WORDS_IN_ROW === 0 ? ' ' : ''} ${hex64(out[0], out[1])}`
  }
  xen.console.xen(words === 0 ? '  Stack empty.' : row)
}

/** The path of an address through the tables in use: show_page_walk(). */
export function pageWalk(xen: Hypervisor, port: Vcpu, va: number): void {
  xen.console.xen(`Pagetable walk from ${hexVa(va)}:`)
  const words = xen.memory.u32
  const { path, level: last } = walk(xen.memory, port.root, va, xen.found)
  for (let level = 4; level >= last; level--) {
    const at = path[level]
    if (at === -1) return
    const [lo, hi] = [words[at], words[at + 1]]
    const large = (level === 2 || level === 3) && (lo & PSE) !== 0
    const pfn = xen.m2p.get(entryFrame(lo, hi))
    const pfnText = pfn === -1 ? 'f'.repeat(16) : hex64(pfn >>> 0, Math.floor(pfn / 0x1_0000_0000))
    const tail = large ? ' (PSE)' : level === 2 && xen.version.messages.blankAfterL2 ? ' ' : ''
    const slot = slotAt(va, level as 1 | 2 | 3 | 4)
    xen.console.xen(
      ` L${level}[0x${slot.toString(16).padStart(3, '0')}] = ${hex64(lo, hi)} ${pfnText}${tail}`,
    )
  }
}
