import { hex } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import type { ForecastInput } from '../../linux/forecast/forecast-memory.ts'
import { type Forecast, forecastTables } from '../../linux/forecast/table-forecast.ts'
import { forecastTopDown } from '../../linux/forecast/top-down-forecast.ts'
import { deniedMmio } from '../../toolstack/machine-map.ts'
import { Heap } from '../../xen/frames/heap.ts'
import type { BootOptions } from './boot.ts'
import { type BootPlan, planBoot } from './boot-plan.ts'
import { isLaidOutToday } from './layout-outcome.ts'
import { impossible, type Outcome } from './outcome.ts'
import { faulted, GIVING_BACK, inCall, inStage, PINNING, panicked, refused, STORING } from './signature.ts'

/** Entries of a map that the model kernel asks Xen for at most. */
const MOST_ENTRIES = 128

/** Frames that Xen may want of the machine for itself, at the most. */
const FOR_XEN = 1024

/**
 * How a boot will end, where that can be told without carrying it out, in a hundredth of the time; null where it cannot. It
 * says what `bootOutcome` would: the tests compare the two over whole sweeps, and each sweep does so over a share of its
 * machines.
 */
export function forecastOutcome(options: BootOptions): Outcome | null {
  // The layouts of today are a rule without a boot as it is; holes change what Xen checks.
  if (isLaidOutToday(options.linux) || options.holes !== undefined) return null
  try {
    const plan = planBoot(options)
    // Whether such a domain can be built is for the domain builder to say.
    const { host, layout, nrPages, swaps } = plan
    if (swaps.length > 0 || nrPages > new Heap(host.ram).most || layout.vEnd > nrPages * 4096) return null
    const input = inputOf(plan)
    if ((input.rawMap?.length ?? 0) > MOST_ENTRIES) return null
    if (plan.generation.placement === 'brk') return topDown(plan, input)
    const forecast = forecastTables(input, deniedMmio(plan.version.rules.deniedLapicPages))
    return forecast === null ? null : outcomeOf(forecast)
  } catch (error) {
    if (error instanceof BadInput) return impossible(error)
    throw error
  }
}

/**
 * A dom0 that owns nearly all of its machine may not get back all the frames that it releases: then it has to boot whatever
 * part it gets.
 */
function topDown({ nrPages, host }: BootPlan, input: ForecastInput): Outcome | null {
  const kept = input.vEnd / 4096 + FOR_XEN
  const isShort = new Heap(host.ram).most - nrPages < kept
  const boots = forecastTopDown(input) && (!isShort || forecastTopDown(input, 0))
  return boots ? { outcome: 'booted', signature: '' } : null
}

function inputOf({
  generation,
  dom0,
  host,
  memoryMap,
  nrPages,
  commandLine,
  layout,
}: BootPlan): ForecastInput {
  return {
    generation,
    dom0,
    nrPages,
    commandLine,
    rawMap: dom0 ? host.map : memoryMap,
    kernelEnd: layout.kernelEnd,
    initrd: { start: layout.initrd, bytes: layout.initrdBytes },
    mfnList: layout.mfnList,
    ptBase: layout.pageTables,
    nrPtFrames: layout.nrPageTables,
    vEnd: layout.vEnd,
  }
}

function outcomeOf(forecast: Forecast): Outcome {
  switch (forecast.end) {
    case 'booted':
      return { outcome: 'booted', signature: '' }
    case 'pin-refused':
      return {
        outcome: 'refused',
        signature: refused(`${PINNING} (L1)`, inCall(forecast.call)),
        pfn: hex(forecast.pfn),
      }
    case 'live-table':
      return {
        outcome: 'refused',
        signature: refused(STORING, inCall(forecast.call)),
        pfn: hex(forecast.pfn),
      }
    case 'read-only':
      return { outcome: 'fault', signature: faulted(inStage(forecast.stage)), pfn: hex(forecast.pfn) }
    case 'taken-back':
      return {
        outcome: 'refused',
        signature: refused(GIVING_BACK, inStage('xen_post_allocator_init')),
        pfn: hex(forecast.pfn),
      }
    case 'panic':
      return { outcome: 'fault', signature: panicked(forecast.message) }
  }
}
