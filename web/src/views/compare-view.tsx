import { useMemo, useRef } from 'preact/hooks'
import { FilmPair } from '../../../src/run/film/compare-films.ts'
import { type Film, lookWords } from '../../../src/run/film/film.ts'
import { type Action, useKeys } from '../keys.tsx'
import type { MachineClient } from '../machine-client.ts'
import { zoomLevels } from '../map/layout.ts'
import { countShades } from '../map/paint.ts'
import type { MachineOptions } from '../messages.ts'
import { Fact } from '../parts/buffer.tsx'
import { FrameMap } from '../parts/frame-map.tsx'
import { DifferenceTable } from '../parts/frame-table.tsx'
import { Legend } from '../parts/legend.tsx'
import { Progress } from '../parts/progress.tsx'
import { Timeline, type TimeMark } from '../parts/timeline.tsx'
import { useDrop } from '../use-drop.ts'
import { type Filming, useFilm } from '../use-film.ts'
import { usePlayer } from '../use-player.ts'
import { bare, count } from '../words.ts'
import { mapMarks, scaleOf, type ViewProps } from './boot-view.tsx'

/** The same machine in two generations of Linux, in step, with what differs marked. */
export function CompareView(props: ViewProps & { second: MachineClient }) {
  const { filming, state, change, second, catalogue } = props
  const { linux: _linux, with: _with, without: _without, ...machine } = state.machine
  const beside: MachineOptions = { ...machine, linux: state.beside }
  const other = useFilm(second, beside)
  // What is dropped here is for another view; it must not take the page's place all the same.
  useDrop(() => props.say('A map is dropped on the boot view, a log on the explain view.'))
  const names = catalogue?.generations.map(({ name }) => name) ?? []
  const choose = (label: string, value: string, onChange: (name: string) => void) => (
    <div class="field">
      <label for={`generation-${label}`}>{label}</label>
      <select id={`generation-${label}`} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
        {(names.includes(value) ? names : [value, ...names]).map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </div>
  )
  return (
    <div class="view compare">
      <div class="panel machine">
        {choose('Generation', state.machine.linux ?? 'B', (linux) =>
          change({ machine: { ...machine, linux }, event: null }),
        )}
        {choose('beside', state.beside, (name) => change({ beside: name, event: null }))}
        <p class="quiet">The machine is the one of the boot view.</p>
      </div>
      <Waiting filming={filming} name={state.machine.linux ?? 'B'} />
      <Waiting filming={other} name={state.beside} />
      {filming.film === null || other.film === null ? null : (
        <Pair {...props} film={filming.film} other={other.film} />
      )}
    </div>
  )
}

function Waiting({ filming, name }: { filming: Filming; name: string }) {
  if (filming.error !== null)
    return (
      <p class="panel problem" role="alert">
        {filming.error}
      </p>
    )
  return filming.progress === null ? null : <Progress part={filming.progress} says={`Booting ${name}`} />
}

function Pair(props: ViewProps & { film: Film; other: Film }) {
  const { film, other, state, scheme, change } = props
  const canvas = useRef<HTMLCanvasElement>(null)
  const pair = useMemo(() => new FilmPair(film, other), [film, other])
  const { first } = pair

  const event = Math.min(state.event ?? first?.event ?? film.data.stop, film.events)
  const beside = pair.beside(event)
  const mfn = state.mfn ?? (first?.frames[0] === undefined ? null : film.mfnOf(first.frames[0]))
  film.seek(event)
  other.seek(beside)
  const moment = `${event} ${beside}`
  // Films change inside, which `moment` tells.
  const differing = useMemo(() => pair.differing(), [pair, moment])

  const player = usePlayer({
    film,
    event,
    pause: first?.event ?? null,
    jump: first?.event ?? film.events,
    move: (n) => change({ event: n }),
  })
  const { goTo } = player

  const focus = mfn === null ? 0 : Math.max(0, film.indexOf(mfn))
  const zoom = (by: number): void => {
    const box = canvas.current
    if (box === null) return
    const levels = zoomLevels(film.frames, box.clientWidth, box.clientHeight)
    change({ zoom: Math.max(0, Math.min(levels - 1, state.zoom + by)), top: null })
  }
  const actions: Partial<Record<Action, () => void>> = {
    ...player.actions,
    'zoom+': () => zoom(1),
    'zoom-': () => zoom(-1),
    whole: () => change({ zoom: 0, top: null }),
    table: () => change({ table: !state.table }),
    order: () => change({ order: state.order === 'pfn' ? 'mfn' : 'pfn', top: null }),
  }
  useKeys((action) => {
    const act = actions[action]
    act?.()
    return act !== undefined
  })
  const timeMarks: TimeMark[] =
    first === null ? [] : [{ event: first.event, kind: 'differs', says: `event ${first.event} (X)` }]

  return (
    <>
      <div class={`panel verdict ${first === null ? 'booted' : 'differs'}`} role="status">
        <b>{first === null ? 'No difference' : 'First difference'}</b>
        {first === null ? (
          <span>Both do the same, deed by deed.</span>
        ) : (
          <span>
            <button type="button" class="link" onClick={() => goTo(first.event)}>
              event {count(first.event)}
            </button>
            , {film.describe(Math.min(first.event, film.events))}
            {first.beside <= other.events &&
            other.describe(first.beside) !== film.describe(Math.min(first.event, film.events))
              ? `; beside it ${other.describe(first.beside)}`
              : ''}
            {first.frames.length > 0
              ? `. After it ${count(first.frames.length)} frames look different.`
              : '.'}
          </span>
        )}
      </div>
      {state.table ? <DifferenceTable film={film} other={other} order={film.order(state.order)} /> : null}
      <div class="twins">
        {[
          { one: film, looks: other.looks, at: event, ref: canvas },
          { one: other, looks: film.looks, at: beside, ref: undefined },
        ].map(({ one, looks, at, ref }, i) => (
          <section class="panel map-panel" key={i === 0 ? 'first' : 'second'} aria-labelledby={`twin-${i}`}>
            <div class="title">
              <h2 id={`twin-${i}`}>Generation {one.data.linux}</h2>
              <span class={`outcome ${one.data.outcome}`}>{one.data.outcome}</span>
              {i > 0 ? null : (
                <div class="tools">
                  <button type="button" aria-label="Zoom out" onClick={() => zoom(-1)}>
                    −
                  </button>
                  <button type="button" aria-label="Zoom in" onClick={() => zoom(1)}>
                    +
                  </button>
                  <button type="button" onClick={() => change({ zoom: 0, top: null })}>
                    Whole
                  </button>
                  <button
                    type="button"
                    title="T"
                    aria-pressed={state.table}
                    onClick={() => change({ table: !state.table })}
                  >
                    Table
                  </button>
                </div>
              )}
            </div>
            {state.table ? null : (
              <FrameMap
                {...(ref === undefined ? {} : { canvas: ref })}
                looks={one.looks}
                other={looks}
                moment={moment}
                scheme={scheme}
                zoom={state.zoom}
                order={one.order(state.order)}
                top={state.top}
                focus={focus}
                marks={mapMarks(one, at, mfn)}
                changed={NONE}
                label={`Generation ${one.data.linux}: ${one.frames} frames after event ${at}; ${differing} differ`}
                onSelect={(index) => change({ mfn: one.mfnOf(index) })}
                scaleOf={(index) => scaleOf(one, index, state.order)}
                onView={change}
              />
            )}
            <Legend counts={countShades(one.looks)} scheme={scheme} differing={differing} />
            <Moment film={one} at={at} mfn={mfn} />
          </section>
        ))}
      </div>
      <Timeline film={film} event={event} scheme={scheme} player={player} marks={timeMarks} />
    </>
  )
}

const NONE = new Uint32Array(0)

/** Where one of two films is, in words. */
function Moment({ film, at, mfn }: { film: Film; at: number; mfn: number | null }) {
  const buffer = film.buffer()
  const line = film.data.lines[film.linesShown() - 1]
  return (
    <>
      <dl class="facts across">
        <Fact name="event" value={`${count(at)} of ${count(film.events)}`} />
        <Fact name="start" value={bare(buffer?.start)} />
        <Fact name="end" value={bare(buffer?.end)} />
        <Fact name="top" value={bare(buffer?.top)} />
        {mfn === null ? null : <Fact name={`mfn ${bare(mfn)}`} value={frameWord(film, mfn)} />}
      </dl>
      <p class="now">{film.describe(at)}</p>
      <p class="last-line">{line?.text ?? ''}</p>
    </>
  )
}

function frameWord(film: Film, mfn: number): string {
  const index = film.indexOf(mfn)
  if (index === -1) return 'no RAM'
  const { class: name, pinned } = lookWords(film.looks[index])
  return pinned ? `${name}, pinned` : name
}
