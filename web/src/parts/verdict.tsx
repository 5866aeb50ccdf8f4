import type { Film } from '../../../src/run/film.ts'
import { bare, count } from '../words.ts'

/** What became of the boot, in a sentence; at the refusal also what to look at. */
export function Verdict({
  film,
  event,
  onEvent,
}: {
  film: Film
  event: number
  onEvent: (event: number) => void
}) {
  const { outcome, via, refusal, pfn, linux } = film.data
  const at = refusal !== null && event === refusal.event
  return (
    <div class={`panel verdict ${outcome}`} role="status">
      <b>{VERDICTS[outcome]}</b>
      {outcome === 'refused' && refusal !== null ? (
        <span>
          Xen refused pfn {bare(refusal.pfn)} (mfn {bare(refusal.mfn)}) by {via?.replaceAll('_', ' ')}.{' '}
          {at ? (
            'What holds it is told beside the map.'
          ) : (
            <button type="button" class="link" onClick={() => onEvent(refusal.event)}>
              Go to event {count(refusal.event)}
            </button>
          )}
        </span>
      ) : null}
      {outcome === 'fault' ? (
        <span>
          The CPU faulted{pfn >= 0 ? ` at pfn ${bare(pfn)}` : ''}:{' '}
          {via === 'panic' ? 'a panic' : 'a page fault'} of the kernel ended it.
        </span>
      ) : null}
      {outcome === 'booted' ? (
        <span>
          Generation {linux} came through its early page tables in {count(film.events)} events.
        </span>
      ) : null}
    </div>
  )
}

const VERDICTS = { refused: 'Refused', fault: 'Faulted', booted: 'Booted' } as const
