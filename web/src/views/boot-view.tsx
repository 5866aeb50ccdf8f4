import { useMemo, useRef } from 'preact/hooks'
import type { Film } from '../../../src/run/film/film.ts'
import { type Action, useKeys } from '../keys.tsx'
import { linkOf, type PageState } from '../link.ts'
import type { MachineClient } from '../machine-client.ts'
import { zoomLevels } from '../map/layout.ts'
import { countShades } from '../map/paint.ts'
import type { Scheme } from '../map/shades.ts'
import type { Catalogue, MachineOptions } from '../messages.ts'
import { Account } from '../parts/account.tsx'
import { BufferStrip } from '../parts/buffer.tsx'
import { FrameMap, type MapMark, shownLayout } from '../parts/frame-map.tsx'
import { FramePanel } from '../parts/frame-panel.tsx'
import { FrameTable } from '../parts/frame-table.tsx'
import { Legend } from '../parts/legend.tsx'
import { Console, EventList } from '../parts/lines.tsx'
import { MachineForm } from '../parts/machine-form.tsx'
import { MapBar } from '../parts/map-bar.tsx'
import { Progress } from '../parts/progress.tsx'
import { Timeline, type TimeMark } from '../parts/timeline.tsx'
import { Verdict } from '../parts/verdict.tsx'
import { pngOf, save } from '../save.ts'
import type { Filming } from '../use-film.ts'
import { usePlayer } from '../use-player.ts'
import { bare } from '../words.ts'

export type ViewProps = {
  readonly client: MachineClient
  readonly catalogue: Catalogue | null
  readonly filming: Filming
  readonly state: PageState
  readonly scheme: Scheme
  readonly change: (part: Partial<PageState>) => void
  /** Tell something in a line that goes away by itself. */
  readonly say: (line: string) => void
}

/** The boot, seen frame by frame. */
export function BootView(props: ViewProps) {
  const { client, catalogue, filming, state, change } = props
  return (
    <div class="view boot">
      <MachineForm
        client={client}
        catalogue={catalogue}
        machine={state.machine}
        onBoot={(machine) => change({ machine, event: null, mfn: null, zoom: 0, top: null })}
      />
      {filming.error === null ? null : (
        <p class="panel problem" role="alert">
          {filming.error}
        </p>
      )}
      {filming.progress === null ? null : (
        <Progress part={filming.progress} says={`Booting ${state.machine.linux ?? 'B'}`} />
      )}
      {filming.film === null ? null : <Boot {...props} film={filming.film} options={filming.options} />}
    </div>
  )
}

function Boot(props: ViewProps & { film: Film; options: MachineOptions }) {
  const { client, film, options, state, scheme, change, say } = props
  const canvas = useRef<HTMLCanvasElement>(null)
  const { refusal } = film.data

  const event = Math.min(state.event ?? film.data.stop, film.events)
  film.seek(event)
  const mfn = state.mfn ?? refusal?.mfn ?? (film.data.pfn >= 0 ? film.mfnOfPfn(film.data.pfn) : null)
  const moment = `${event}`
  // The film changes inside, which `moment` tells.
  const counts = useMemo(() => countShades(film.looks), [film, moment])
  // As above.
  const changed = useMemo(() => film.changed(), [film, moment])

  // Playing stops where Xen refused, or where the CPU did: that is the moment that it is all about.
  const pause = film.data.outcome === 'booted' ? null : film.data.stop
  const player = usePlayer({ film, event, pause, jump: film.data.stop, move: (n) => change({ event: n }) })
  const { playing, goTo } = player

  const order = film.order(state.order)
  const focus = mfn === null ? 0 : Math.max(0, film.indexOf(mfn))
  const shown = () => {
    const box = canvas.current
    if (box === null) return null
    return shownLayout(
      film.frames,
      { width: box.clientWidth, height: box.clientHeight },
      { ...state, focus, order },
    )
  }
  /** Select a frame and bring the map to it. */
  const showFrame = (one: number): void => {
    const layout = shown()
    const index = film.indexOf(one)
    const isShown =
      layout !== null &&
      index !== -1 &&
      order.placeOf(index) >= layout.top &&
      order.placeOf(index) < layout.top + layout.columns * layout.rows * layout.perCell
    change({ mfn: one, top: isShown ? layout.top : null })
  }
  const zoom = (by: number): void => {
    const box = canvas.current
    if (box === null) return
    const levels = zoomLevels(film.frames, box.clientWidth, box.clientHeight)
    change({ zoom: Math.max(0, Math.min(levels - 1, state.zoom + by)), top: null })
  }
  const move = (part: number): void => {
    const layout = shown()
    if (layout === null) return
    const rows = Math.ceil(layout.rows * Math.abs(part)) * Math.sign(part)
    change({ top: Math.max(0, layout.top + rows * layout.columns * layout.perCell) })
  }
  const find = async (text: string): Promise<string | null> => {
    if (text === '') return 'Name a frame: pfn:bacf7, mfn:b1d89 or va:ffff8800bacf7000.'
    try {
      const frame = /^(pfn|mfn|va):/i.test(text) ? text : `mfn:${text}`
      const { who } = await client.ask('who', { options, frame, event })
      showFrame(Number(who.mfn))
      return null
    } catch (error) {
      return (error as Error).message
    }
  }
  const savePng = async (): Promise<void> => {
    if (canvas.current === null)
      return say('The map is a table just now; there is nothing to save as a picture.')
    const lines = [title(film), `event ${event} of ${film.events}: ${film.describe(event)}`]
    save(`xenolith-${film.data.linux}-${event}.png`, await pngOf(canvas.current, lines, scheme === 'dark'))
  }
  const copyLink = async (): Promise<void> => {
    const link = `${location.href.replace(/#.*/, '')}#${linkOf({ ...state, event, mfn })}`
    try {
      await navigator.clipboard.writeText(link)
      say('The link to this moment is copied.')
    } catch {
      history.replaceState(null, '', link)
      say('The link to this moment is in the address bar.')
    }
  }

  const turn = (): void => change({ order: state.order === 'pfn' ? 'mfn' : 'pfn', top: null })

  const actions: Partial<Record<Action, () => void>> = {
    ...player.actions,
    'zoom+': () => zoom(1),
    'zoom-': () => zoom(-1),
    whole: () => change({ zoom: 0, top: null }),
    up: () => move(-0.5),
    down: () => move(0.5),
    find: () => document.getElementById('find-frame')?.focus(),
    machine: () => document.getElementById('linux')?.focus(),
    order: turn,
    table: () => change({ table: !state.table }),
    png: () => void savePng(),
    link: () => void copyLink(),
  }
  useKeys((action) => {
    const act = actions[action]
    act?.()
    return act !== undefined
  })

  const timeMarks: TimeMark[] = useMemo(() => {
    const { outcome, stop } = film.data
    return outcome === 'booted' ? [] : [{ event: stop, kind: outcome, says: `event ${stop} (X)` }]
  }, [film])
  // The buffer is the moment's.
  const marks = useMemo(() => mapMarks(film, event, mfn), [film, event, mfn])
  return (
    <>
      <Verdict film={film} event={event} onEvent={goTo} />
      <div class="stage">
        <section class="panel map-panel" aria-labelledby="map-title">
          <MapBar
            title={title(film)}
            table={state.table}
            order={state.order}
            onOrder={turn}
            onZoom={zoom}
            onWhole={() => change({ zoom: 0, top: null })}
            onTable={() => change({ table: !state.table })}
            onPng={() => void savePng()}
            onLink={() => void copyLink()}
          />
          {state.table ? (
            <FrameTable
              film={film}
              order={order}
              top={state.top ?? order.placeOf(focus)}
              selected={mfn}
              onFrame={(one) => change({ mfn: one })}
              onTop={(top) => change({ top })}
            />
          ) : (
            <FrameMap
              canvas={canvas}
              looks={film.looks}
              moment={moment}
              scheme={scheme}
              zoom={state.zoom}
              order={order}
              top={state.top}
              focus={focus}
              marks={marks}
              changed={changed}
              label={`Map of ${film.frames} frames after event ${event}. Arrow keys choose a frame; T shows a table.`}
              onSelect={(index) => change({ mfn: film.mfnOf(index), top: shown()?.top ?? null })}
              scaleOf={(index) => scaleOf(film, index, state.order)}
              onView={change}
            />
          )}
          <Legend counts={counts} scheme={scheme} />
        </section>
        <FramePanel
          client={client}
          options={options}
          film={film}
          event={event}
          mfn={mfn}
          playing={playing}
          onEvent={goTo}
          onFrame={showFrame}
          onFind={find}
        />
      </div>
      <Timeline film={film} event={event} scheme={scheme} player={player} marks={timeMarks} />
      <div class="below">
        <BufferStrip film={film} event={event} scheme={scheme} selected={mfn ?? -1} onSelect={showFrame} />
        <Console film={film} event={event} onEvent={goTo} />
        <EventList film={film} event={event} onEvent={goTo} />
      </div>
      <Account client={client} options={options} film={film} say={say} />
    </>
  )
}

export function title(film: Film): string {
  const { linux, xen, map } = film.data
  return `Linux ${linux} on ${map ?? 'a guest of its own'}, Xen ${xen}`
}

/** What the map's scale says of a frame: its number in the order that is shown, where it has one. */
export function scaleOf(film: Film, index: number, order: 'pfn' | 'mfn'): string {
  const mfn = film.mfnOf(index)
  const pfn = order === 'pfn' ? film.pfnOf(mfn) : -1
  return pfn === -1 ? (order === 'pfn' ? `mfn ${bare(mfn)}` : bare(mfn)) : bare(pfn)
}

export function mapMarks(film: Film, event: number, mfn: number | null): MapMark[] {
  const marks: MapMark[] = []
  const add = (kind: MapMark['kind'], frame: number): void => {
    const index = film.indexOf(frame)
    if (index !== -1) marks.push({ index, kind })
  }
  const buffer = film.buffer()
  if (buffer !== null) {
    add('start', film.mfnOfPfn(buffer.start))
    if (buffer.end < buffer.top) add('end', film.mfnOfPfn(buffer.end))
    add('top', film.mfnOfPfn(buffer.top))
  }
  const { refusal } = film.data
  const isRefused = refusal !== null && event >= refusal.event
  if (mfn !== null && !(isRefused && refusal.mfn === mfn)) add('selected', mfn)
  if (isRefused) add('refused', refusal.mfn)
  // The keys of the map move the selection, also from the refused frame on.
  if (isRefused && refusal.mfn === mfn) marks.push({ index: film.indexOf(mfn), kind: 'selected' })
  return marks.sort((a, b) => Number(a.kind === 'refused') - Number(b.kind === 'refused'))
}
