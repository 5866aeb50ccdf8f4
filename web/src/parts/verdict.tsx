import type { Film } from '../../../src/run/film/film.ts'
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
  const isThere = refusal !== null && event === refusal.event
  return (
    <div class={`panel verdict ${outcome}`} role="status">
      <b>{VERDICTS[outcome]}</b>
      {outcome === 'refused' && refusal !== null ? (
        <span>
          Xen refused pfn {bare(refusal.pfn)} (mfn {bare(refusal.mfn)}):{' '}
          {REFUSED[via ?? ''] ?? 'a request was about it'}.{' '}
          {isThere ? (
            'What stands in the way is marked under Frame.'
          ) : (
            <button type="button" class="link" onClick={() => onEvent(refusal.event)}>
              Go to event {count(refusal.event)}
            </button>
          )}
        </span>
      ) : null}
      {outcome === 'fault' ? (
        <span>
          {via === 'panic'
            ? 'The kernel gave up with a panic of its own.'
            : `The CPU faulted${pfn >= 0 ? ` at pfn ${bare(pfn)}` : ''}, and nobody took the fault.`}
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

/** What was to be done with the page, by the way in which Xen was asked. */
const REFUSED: Readonly<Record<string, string>> = {
  pin: 'it was to become a page table',
  ptwr: 'a store to a table in use would have mapped it',
  update_va_mapping: 'it was to be mapped',
  mmu_update: 'an entry for it was to be written',
}

const VERDICTS = { refused: 'Refused', fault: 'Faulted', booted: 'Booted' } as const
