import { withoutColours } from '../../bits/lines.ts'
import { decodeTypeWord, type FrameType } from '../../bits/type-word.ts'
import { xenVersion } from '../../xen/versions/index.ts'
import type { Outcome } from '../boot/outcome.ts'
import type { KernelOutcome, KernelResult } from './kernel-boot.ts'
import type { KernelExplanation } from './kernel-explain.ts'
import { accessText, faultText, mappingText } from './kernel-fault.ts'

/** How a real kernel's boot ended, in short: as a model's does, or in a way that only a real one has. */
export type KernelEnd = Omit<Outcome, 'outcome'> & {
  /** `crashed`: by itself, or by Xen, but not of a refusal or a page fault. `ended`: in another way than was wanted. */
  readonly outcome: Outcome['outcome'] | 'crashed' | 'ended'
}

/** What a signature may have of a kernel's own words. */
const MOST_WORDS = 200
/** Of a line that is told. */
const MOST_LINE = 1000
/** Instructions, or nanoseconds, in which a kernel that gives up over a refusal is dead: it prints a page on its way. */
const GIVES_UP_IN = 20_000_000

const ENDED: Readonly<Record<Exclude<KernelOutcome, 'reached' | 'crash'>, string>> = {
  poweroff: 'powered off',
  reboot: 'rebooted',
  suspend: 'suspended itself',
  watchdog: 'stopped by its watchdog',
  'soft-reset': 'reset itself',
  idle: 'waits for input that does not come',
  'time-limit': 'no more time',
  'wall-limit': 'no more of our time',
  'console-limit': 'wrote more than its console holds',
  'host-memory': 'needs more memory than this host can give it',
  interrupted: 'interrupted',
}

/**
 * How a run ended, which was explained and has its console.
 *
 * @param wanted how it was to end
 */
export function kernelEnd(result: KernelResult, wanted: KernelOutcome): KernelEnd {
  const { outcome, console } = result
  if (outcome === wanted) return { outcome: 'booted', signature: '' }
  if (outcome === 'crash') return crashEnd(result)
  if (outcome === 'reached') throw new Error('a run came to a line that was not wanted')
  return { outcome: 'ended', signature: `ended: ${ENDED[outcome]}`, ...lastLine(console) }
}

function crashEnd(result: KernelResult): KernelEnd {
  const { fault, explanations, console } = result
  const crash = explanations.findLast(({ kind }) => kind === 'crash')
  const frame = crash?.frame ?? null
  const isRefusal = frame !== null && frame.saw !== null && (fault !== null || isFresh(explanations))
  if (isRefusal) return refusedEnd(result, frame)
  if (fault !== null) {
    const what = `${accessText(fault)} a page that is ${mappingText(fault)}`
    return {
      outcome: 'fault',
      signature: `fault: ${what}${inFunction(fault.symbol)}`,
      ...(fault.pfn === null ? {} : { pfn: fault.pfn }),
      detail: faultText(fault),
    }
  }
  const words = kernelWords(console)
  const place = inFunction(nameOf(crash?.stack[0]))
  return {
    outcome: 'crashed',
    signature: words === null ? `crashed${place}` : `crashed: ${words}`,
    ...lastLine(console),
  }
}

type Frame = NonNullable<KernelExplanation['frame']>

/** Xen did not let a page be what the kernel wanted: the page is the one to tell of. */
function refusedEnd({ xen, explanations }: KernelResult, { mfn, pfn, saw, exp }: Frame): KernelEnd {
  const { stack } = explanations.findLast(({ kind }) => kind === 'refused') ?? { stack: [] }
  // The innermost place is the page of hypercalls, or the store itself.
  const place = stack.map(nameOf).find((name) => name !== null && !name.startsWith('hypercall_page')) ?? null
  return {
    outcome: 'refused',
    signature: `refused: ${typeText(xen, saw)} as ${typeText(xen, exp)}${inFunction(place)}`,
    ...(pfn === null ? {} : { pfn }),
    detail: `mfn ${mfn.slice(2)}: Xen saw ${saw} and wanted ${exp}`,
  }
}

/** Whether the last refusal was just before the end: a kernel that was refused something long ago has died of something else. */
function isFresh(explanations: KernelResult['explanations']): boolean {
  const last = explanations.findLast(({ kind }) => kind === 'refused')
  const end = explanations.findLast(({ kind }) => kind === 'crash')
  return last !== undefined && end !== undefined && end.instruction - last.instruction < GIVES_UP_IN
}

const TYPES: Readonly<Record<FrameType, string>> = {
  none: 'a page without a type',
  l1: 'an L1 table',
  l2: 'an L2 table',
  l3: 'an L3 table',
  l4: 'an L4 table',
  segdesc: 'a page of descriptors',
  shared: 'a shared page',
  writable: 'a writable page',
}

/** A frame's type, by the word in which Xen prints it. */
function typeText(xen: string, word: string | null): string {
  const type = decodeTypeWord(xenVersion(xen).words.type, BigInt(`0x${word ?? 0}`))?.type ?? 'none'
  return TYPES[type]
}

/** The function of a place in the kernel, `name+0x1f/0x40` with or without its address; null of one that has no name. */
function nameOf(place: string | undefined): string | null {
  const text = place?.split(' ').at(-1)
  return text === undefined || text === 'unknown' ? null : text.split('+0x')[0]
}

function inFunction(place: string | null): string {
  const name = place === null ? null : nameOf(place)
  return name === null ? '' : `, in ${name}`
}

/** What the kernel says of its death, without the numbers of this machine; null where it says nothing. */
function kernelWords(console: readonly string[]): string | null {
  for (const line of console.toReversed()) {
    const words = /Kernel panic - not syncing: .+|kernel BUG at .+|BUG: .+/.exec(withoutColours(line))?.[0]
    if (words !== undefined)
      return words.replace(/0x[0-9a-f]+|[0-9a-f]{8,}|\d{3,}/g, 'N').slice(0, MOST_WORDS)
  }
  return null
}

/** What stands last on the console. */
function lastLine(console: readonly string[]): { readonly detail?: string } {
  const line = console.findLast((text) => text.trim() !== '')
  return line === undefined ? {} : { detail: `last line: ${withoutColours(line).trim().slice(0, MOST_LINE)}` }
}
