import { useEffect, useRef } from 'preact/hooks'
import type { Film } from '../../../src/run/film/film.ts'
import { count } from '../words.ts'

/** The console as it is at the moment: what guest and Xen have said. A line leads to the event that printed it. */
export function Console({
  film,
  event,
  onEvent,
}: {
  film: Film
  event: number
  onEvent: (event: number) => void
}) {
  const list = useRef<HTMLOListElement>(null)
  const shown = film.linesShown()
  // A new line scrolls into view.
  useEffect(() => {
    if (list.current !== null) list.current.scrollTop = list.current.scrollHeight
  }, [film, shown])
  return (
    <section class="panel console-pane" aria-labelledby="console-title">
      <h2 id="console-title">Console</h2>
      <ol ref={list} aria-label="Lines of the console" onKeyDown={moveBetweenLines}>
        {film.data.lines.slice(0, shown).map((line, i) => (
          <li key={line.event} class={line.source} data-now={line.event === event ? '' : undefined}>
            <button
              type="button"
              tabIndex={i === shown - 1 ? 0 : -1}
              title={`event ${line.event}`}
              onClick={() => onEvent(line.event)}
            >
              {line.text || ' '}
            </button>
          </li>
        ))}
        {shown === 0 ? <li class="quiet">Nothing has been said yet.</li> : null}
      </ol>
    </section>
  )
}

/** One line of the console has the tabulator; the arrows lead from it to the others. */
function moveBetweenLines(event: KeyboardEvent): void {
  const line = (event.target as HTMLElement).closest('li')
  const way = event.key === 'ArrowUp' ? 'previousElementSibling' : 'nextElementSibling'
  if (line === null || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return
  event.preventDefault()
  line[way]?.querySelector('button')?.focus()
}

const AROUND = 4

/** The events around the moment. */
export function EventList({
  film,
  event,
  onEvent,
}: {
  film: Film
  event: number
  onEvent: (event: number) => void
}) {
  const first = Math.max(0, Math.min(event - AROUND, film.events - 2 * AROUND))
  const numbers = Array.from({ length: Math.min(2 * AROUND + 1, film.events + 1) }, (_, i) => first + i)
  return (
    <section class="panel events" aria-labelledby="events-title">
      <h2 id="events-title">Events</h2>
      <ol aria-label="Events around this moment">
        {numbers.map((n) => (
          <li key={n} class={film.kind(n)}>
            <button type="button" aria-current={n === event ? 'step' : undefined} onClick={() => onEvent(n)}>
              <span class="number">{count(n)}</span> <span class="kind">{film.kind(n)}</span>{' '}
              <span class="what">{film.describe(n)}</span>
            </button>
          </li>
        ))}
      </ol>
    </section>
  )
}
