import { hexVa } from '../../bits/address.ts'
import { describeEvent } from '../../trace/describe.ts'
import type { TraceEvent } from '../../trace/events.ts'
import type { GuestCode } from './rerun.ts'

/** A moment of a run, and what happened then. */
export type Moment = {
  /** Number of the event; of a store that is none, of the last event before it. 0 is the machine as it was built. */
  readonly event: number
  readonly what: string
  /** Of a store by a guest's code: the number of the instruction that made it, the guest's first being 1. */
  readonly instruction?: number
  /** Where the store is known only to be one of several instructions: it is behind this one, and not behind `instruction`. */
  readonly after?: number
  /** Where the code lies: an address, as a `0x` string, and what the guest calls it. */
  readonly at?: string
  readonly symbol?: string
}

/** The machine as its builder left it. */
export const BUILT: Moment = { event: 0, what: 'the domain builder' }

/** The machine as a snapshot held it: what was before is not known. */
export const RESTORED: Moment = { event: 0, what: 'the snapshot' }

/** An event as a moment. */
export function eventMoment(event: number, what: TraceEvent): Moment {
  return { event, what: describeEvent(what) }
}

/** A store by a guest's code, made by the instruction at `rip` (48 bits). */
export function storeMoment(event: number, instruction: number, rip: number, code: GuestCode): Moment {
  const symbol = code.nameOf(rip)
  const place = symbol === undefined ? hexVa(rip) : `${hexVa(rip)} ${symbol}`
  return {
    event,
    what: `a store at ${place}`,
    instruction,
    at: `0x${hexVa(rip)}`,
    ...(symbol === undefined ? {} : { symbol }),
  }
}

/** A store by a guest's code, of which only the instructions around it are known. */
export function rangeMoment(event: number, after: number, instruction: number): Moment {
  return { event, what: 'a store', after, instruction }
}

/** Since when, in words. */
export function sinceText(moment: Moment): string {
  const { event, what, instruction, after } = moment
  if (instruction !== undefined) {
    const where =
      after === undefined ? `instruction ${instruction}` : `between instructions ${after} and ${instruction}`
    return `since ${what}, ${where}, after event ${event}`
  }
  if (event > 0) return `since event ${event}: ${what}`
  return what === RESTORED.what ? 'since before the snapshot' : 'since it was built'
}
