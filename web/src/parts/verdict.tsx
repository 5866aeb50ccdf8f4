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
  const isThere = refusal !== null && event === refusal.event
  return (
    <div class={`panel verdict ${outcome}`} role="status">
      <b>{VERDICTS[outcome]}</b>
      {outcome === 'refused' && refusal !== null ? (
        <span>
          Xen {REFUSED[via ?? 'pin'] ?? 'refused a request about'} pfn {bare(refusal.pfn)} (mfn{' '}
          {bare(refusal.mfn)}).{' '}
          {isThere ? (
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

/** What Xen would not do, by the way in which it was asked. */
const REFUSED: Readonly<Record<string, string>> = {
  pin: 'refused to take as a page table',
  ptwr: 'refused a store to a table in use, about',
  update_va_mapping: 'refused to map',
  mmu_update: 'refused an entry about',
}
const VERDICTS = { refused: 'Refused', fault: 'Faulted', booted: 'Booted' } as const
