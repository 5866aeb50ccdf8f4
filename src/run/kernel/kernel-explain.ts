import { hex, hex64, hexVa } from '../../bits/address.ts'
import { domainName } from '../../bits/domid.ts'
import { flagNames } from '../../bits/pte.ts'
import { callStack } from '../../guest/symbols/call-stack.ts'
import { readKallsyms } from '../../guest/symbols/kallsyms.ts'
import { readSystemMap, SymbolTable } from '../../guest/symbols/symbol-table.ts'
import type { TypeInTheWay } from '../../xen/refusal.ts'
import { type FrameHolder, type FrameReport, reportFrame } from '../ask/frame-report.ts'
import { holderWords } from '../ask/holder-words.ts'
import { type FatalFault, faultLines } from './kernel-fault.ts'
import type { KernelMachine } from './kernel-machine.ts'

/** What Xen refused a real kernel, or of what it died: the frame in question, its holders, and where the kernel was. */
export type KernelExplanation = {
  readonly kind: 'refused' | 'crash'
  /** Instructions that the guest had executed. */
  readonly instruction: number
  /** The frame whose type stood in Xen's way, or the one of the page fault that the guest died of; null where there is neither. */
  readonly frame: {
    readonly mfn: string
    readonly pfn: string | null
    readonly type: string
    /** Type and count as Xen saw them, and the type that it wanted; null of a frame that the guest could not access. */
    readonly saw: string | null
    readonly exp: string | null
    readonly holders: readonly string[]
  } | null
  /** The innermost place first: an address and what the kernel calls it. */
  readonly stack: readonly string[]
}

/** A kernel's symbols: a System.map's, or its own; empty when there are none. */
export function symbolsOf({ elf, symbols }: KernelMachine, systemMap?: string): SymbolTable {
  const text = systemMap ?? symbols
  const given = text === null ? null : readSystemMap(text)
  return given ?? (elf === null ? null : readKallsyms(elf)) ?? new SymbolTable([])
}

/** A frame in question: one whose type Xen saw and did not want, or one of which only that is known. */
export type FrameInQuestion = TypeInTheWay | { readonly mfn: number; readonly saw: null; readonly exp: null }

/** The machine as it is right now: the frame in question, where there is one, and the guest's calls. */
export function explainMachine(
  machine: KernelMachine,
  kind: KernelExplanation['kind'],
  symbols: SymbolTable,
  frame: FrameInQuestion | null,
): KernelExplanation {
  const { xen, start, guest } = machine
  const stack = callStack(start.vcpu, guest.rip, symbols, xen.memory.u8)
  const report = frame === null ? null : reportFrame(xen, frame.mfn)
  return {
    kind,
    instruction: guest.cpu.instructions,
    frame:
      frame === null || report === null
        ? null
        : {
            mfn: hex(frame.mfn),
            pfn: report.pfn === -1 ? null : hex(report.pfn),
            type: report.type,
            saw: frame.saw,
            exp: frame.exp,
            holders: holderTexts(report),
          },
    stack: stack.map(({ va, text }) => `${hexVa(va)} ${text}`),
  }
}

/** Holders of a frame that are told at most. */
const MOST_HOLDERS = 32

function holderTexts({ holders, more }: FrameReport): string[] {
  const told = holders.slice(0, MOST_HOLDERS).map(holderText)
  const left = holders.length - told.length + more
  return left === 0 ? told : [...told, `and ${left} more`]
}

function holderText(holder: FrameHolder): string {
  switch (holder.kind) {
    case 'entry': {
      const at = holder.addresses.length === 0 ? 'not linked' : `at ${holder.addresses.map(hexVa).join(', ')}`
      const entry = `${hex64(holder.lo, holder.hi)} ${flagNames(holder.lo, holder.hi)}`
      return `L${holder.level} at mfn ${holder.table.toString(16)}, slot ${holder.slot}: ${entry}, ${at}`
    }
    case 'root':
      return holderWords(holder.kind, domainName(holder.domain), holder.mode)
    case 'descriptors':
      return holderWords(holder.kind, domainName(holder.domain), holder.table)
    case 'vcpu-info':
    case 'eoi-flags':
      return holderWords(holder.kind, domainName(holder.domain))
    case 'backend':
      return holderWords(holder.kind, undefined, holder.user)
    case 'allocation':
      return holderWords(holder.kind, domainName(holder.shared?.domain ?? 0), holder.shared?.as)
    default:
      return holderWords(holder.kind)
  }
}

/** An explanation as lines of text; that of a crash with the page fault that the guest died of, if it did. */
export function explanationLines(
  { kind, frame, stack }: KernelExplanation,
  fault: FatalFault | null,
): string[] {
  const lines = [kind === 'crash' ? 'WHERE THE GUEST DIED' : 'WHAT XEN REFUSED']
  if (kind === 'crash' && fault !== null) lines.push(...faultLines(fault))
  if (frame !== null) {
    const pfn = frame.pfn === null ? 'no pfn' : `pfn ${frame.pfn.slice(2)}`
    lines.push(`  frame mfn ${frame.mfn.slice(2)} (${pfn}), now ${frame.type}`)
    if (frame.saw !== null) lines.push(`  Xen saw ${frame.saw} and wanted ${frame.exp}`)
    lines.push('  held by', ...frame.holders.map((holder) => `    ${holder}`))
  }
  return [...lines, '  call stack, as far as the stack tells', ...stack.map((place) => `    ${place}`)]
}
