import { type Film, type FrameOrder, lookWords } from '../../../src/run/film/film.ts'
import { differenceRuns, lookRuns } from '../map/paint.ts'
import { bare, count } from '../words.ts'

const ROWS = 20

/** The map as a table: runs of frames that look alike, from the place on at which the map begins. */
export function FrameTable(props: {
  film: Film
  order: FrameOrder
  top: number
  selected: number | null
  onFrame: (mfn: number) => void
  onTop: (place: number) => void
}) {
  const { film, order, top, selected, onFrame, onTop } = props
  const runs = lookRuns(film, order, Math.min(top, film.frames - 1), ROWS)
  const last = runs.at(-1)
  const next = last === undefined ? film.frames : last.place + last.count
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys.
    <section class="frame-table" tabIndex={0} aria-label="Frames as a table">
      <table>
        <caption>
          Runs of frames that look alike, from mfn{' '}
          {bare(film.mfnOf(order.frameAt(Math.min(top, film.frames - 1))))} on, after event {count(film.at)}
        </caption>
        <thead>
          <tr>
            <th scope="col">mfn</th>
            <th scope="col">pfn</th>
            <th scope="col">frames</th>
            <th scope="col">is</th>
            <th scope="col">pinned</th>
          </tr>
        </thead>
        <tbody>
          {runs.map(({ frame, count: frames, look }) => {
            const mfn = film.mfnOf(frame)
            const words = lookWords(look)
            const isSelected = selected !== null && selected >= mfn && selected < mfn + frames
            return (
              <tr key={frame} aria-selected={isSelected}>
                <td>
                  <button type="button" class="link" onClick={() => onFrame(mfn)}>
                    {bare(mfn)}
                  </button>
                </td>
                <td>{bare(film.pfnOf(mfn))}</td>
                <td>{count(frames)}</td>
                <td>{words.class}</td>
                <td>{words.pinned ? 'yes' : ''}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
      <p class="pages">
        <button type="button" disabled={top === 0} onClick={() => onTop(0)}>
          From the first frame
        </button>
        <button type="button" disabled={next >= film.frames} onClick={() => onTop(next)}>
          Further
        </button>
      </p>
    </section>
  )
}

/** What differs between two films, as a table. */
export function DifferenceTable({ film, other, order }: { film: Film; other: Film; order: FrameOrder }) {
  const runs = film.frames === other.frames ? differenceRuns(film, other, order, ROWS) : []
  const kind = (look: number): string => {
    const words = lookWords(look)
    return words.pinned ? `${words.class}, pinned` : words.class
  }
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys.
    <section class="panel frame-table" tabIndex={0} aria-label="Frames that differ, as a table">
      <table>
        <caption>
          {runs.length === 0 ? 'No frame looks different' : 'Runs of frames that look different'} after event{' '}
          {count(film.at)} and event {count(other.at)}
          {runs.length === ROWS ? `; the first ${ROWS}` : ''}
        </caption>
        <thead>
          <tr>
            <th scope="col">mfn</th>
            <th scope="col">pfn</th>
            <th scope="col">frames</th>
            <th scope="col">in {film.data.linux}</th>
            <th scope="col">in {other.data.linux}</th>
          </tr>
        </thead>
        <tbody>
          {runs.map(({ frame, count: frames, look, other: theirs }) => (
            <tr key={frame}>
              <td>{bare(film.mfnOf(frame))}</td>
              <td>{bare(film.pfnOf(film.mfnOf(frame)))}</td>
              <td>{count(frames)}</td>
              <td>{kind(look)}</td>
              <td>{kind(theirs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
