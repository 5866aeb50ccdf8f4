import { BadInput } from '../../bits/bad-input.ts'
import { describeEvent } from '../../trace/describe.ts'
import { typeInTheWay } from '../../xen/refusal.ts'
import type { Moment } from './moment.ts'
import { type RunSpec, rerun } from './rerun.ts'
import { type WhoResult, who } from './who.ts'

/** Why Xen last refused something in a run: the frame whose type stood in the way, as it was at that moment. */
export type WhyResult = {
  readonly schema: 1
  readonly refused: Moment
  /** Xen's words: the type it saw and the one it wanted, as the version prints them. */
  readonly saw: string
  readonly exp: string
  readonly frame: WhoResult
}

/**
 * The last refusal of a run, or the last up to an event. Throws BadInput when there was none.
 *
 * @param at number of an event; the end of the run when it is left out
 */
export function why(spec: RunSpec, at?: number): WhyResult {
  let last: { event: number; what: string; mfn: number; saw: string; exp: string } | null = null
  let seen: unknown = null
  let pending = false
  rerun(spec, {
    event: (n, event, xen) => {
      if (at !== undefined && n > at) return
      if (xen.refusal !== seen) pending = true
      seen = xen.refusal
      // The refusal is noted while the request is carried out; the request itself is told of when it ends.
      const fails = (event.kind === 'hypercall' && event.rc !== 0) || (event.kind === 'ptwr' && event.refused)
      if (!pending || !fails) return
      pending = false
      const refusal = typeInTheWay(xen.refusal)
      if (refusal === null) return
      last = { event: n, what: describeEvent(event), mfn: refusal.mfn, saw: refusal.saw, exp: refusal.exp }
    },
  })
  if (last === null)
    throw new BadInput('nothing was refused in this run; `xenolith who` answers for any frame')
  const { event, what, mfn, saw, exp } = last as {
    event: number
    what: string
    mfn: number
    saw: string
    exp: string
  }
  return {
    schema: 1,
    refused: { event, what },
    saw,
    exp,
    frame: who(spec, `mfn:${mfn.toString(16)}`, event),
  }
}
