import { hex } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import { decodeTypeWord } from '../../bits/type-word.ts'
import { typeInTheWay } from '../../xen/refusal.ts'
import type { BootOptions, BootResult } from './boot.ts'
import { planBoot } from './boot-plan.ts'
import { type BootRun, runBoot } from './boot-run.ts'
import { isLaidOutToday, layoutOutcome } from './layout-outcome.ts'
import { faulted, GIVING_BACK, inCall, inStage, PINNING, panicked, refused, STORING } from './signature.ts'

/** How a boot ended, in short: what is left of it where thousands are compared. */
export type Outcome = {
  /** `impossible`: there is no such machine, or it is too small for its kernel. */
  readonly outcome: BootResult['outcome'] | 'impossible'
  /** In words, without the numbers of this machine: boots that end alike have the same. Empty when it booted. */
  readonly signature: string
  /** The page it ended at, a pfn in hex, where there is one. */
  readonly pfn?: string
  /** What is particular to this machine: why it is impossible, which ranges meet. */
  readonly detail?: string
}

/**
 * Boot once and say how it ended: what `boot` says of outcome and page, without the second runs that find the holder.
 * Options that cannot be are an outcome here, not an error.
 */
export function bootOutcome(options: BootOptions): Outcome {
  try {
    return isLaidOutToday(options.linux) ? layoutOutcome(options) : outcomeOf(runBoot(planBoot(options)))
  } catch (error) {
    if (error instanceof BadInput) return impossible(error)
    throw error
  }
}

/** The outcome of a machine that cannot be built. */
export function impossible(error: BadInput): Outcome {
  return { outcome: 'impossible', signature: 'there is no such machine', detail: error.message }
}

function outcomeOf(run: BootRun): Outcome {
  const { ending } = run
  if (ending.outcome === 'booted') return { outcome: 'booted', signature: '' }
  const page = ending.pfn < 0 ? {} : { pfn: hex(ending.pfn) }
  return { outcome: ending.outcome, signature: signatureOf(run), ...page }
}

const STEPS: Readonly<Record<string, string>> = {
  pin_pagetable_pfn: PINNING,
  xen_set_pmd_hyper: 'linking a table',
  xen_set_domain_pte: 'mapping a frame of the machine',
  make_lowmem_page_readwrite: GIVING_BACK,
}

function signatureOf({ xen, vcpu, kernel, ending }: BootRun): string {
  const where = placeOf(kernel)
  switch (ending.via) {
    case 'ptwr':
      return refused(STORING, where)
    case 'pin':
    case 'mmu_update':
    case 'update_va_mapping':
      return refused(`${STEPS[vcpu.rip] ?? vcpu.rip}${ending.via === 'pin' ? levelOf(xen) : ''}`, where)
    case 'page-fault':
      return faulted(where)
    default:
      return panicked(ending.message)
  }
}

/** The level of the table that was to be pinned: the type that Xen wanted and did not get. */
function levelOf({ refusal, version }: BootRun['xen']): string {
  const frame = typeInTheWay(refusal)
  if (frame === null) return ''
  const word = decodeTypeWord(version.words.type, BigInt(`0x${frame.exp}`))
  return word === undefined ? '' : ` (${word.type.toUpperCase()})`
}

/** How far the kernel was. */
function placeOf(kernel: BootRun['kernel']): string {
  if (kernel === null) return 'before the kernel ran'
  if (kernel.mappingDone) return kernel.stage === null ? 'after the direct map' : inStage(kernel.stage)
  if (kernel.mappingCall > 0) return inCall(kernel.mappingCall)
  return kernel.tablesTaken > 0 ? 'in init_mem_mapping' : 'before the direct map'
}
