import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import type { FrameOrder } from '../../../src/run/film/film.ts'
import { cellOf, layoutOf, type MapLayout, placeAtPoint, topFor, zoomLevels } from '../map/layout.ts'
import { cellShades, paintCells } from '../map/paint.ts'
import { type Scheme, shadePixels } from '../map/shades.ts'
import { type Box, useBox } from '../use-media.ts'
import { count } from '../words.ts'

/** Something on the map that is pointed at. */
export type MapMark = {
  readonly index: number
  readonly kind: 'selected' | 'refused' | 'start' | 'end' | 'top'
}

export type MapProps = {
  readonly looks: Uint8Array
  /** Anything that changes when `looks` has changed inside. */
  readonly moment: string
  readonly other?: Uint8Array | null
  readonly scheme: Scheme
  readonly zoom: number
  readonly order: FrameOrder
  /** Place of the first frame that is shown; null: the frame `focus` is in the middle. */
  readonly top: number | null
  /** Index of a frame. */
  readonly focus: number
  readonly marks: readonly MapMark[]
  /** Frames that the event changed, by index. */
  readonly changed: Uint32Array
  readonly label: string
  /** What the scale at the edge says of a frame. */
  readonly scaleOf: (index: number) => string
  readonly onSelect: (index: number) => void
  readonly onView: (view: { zoom?: number; top?: number | null }) => void
  readonly canvas?: { current: HTMLCanvasElement | null }
}

const STROKES = {
  light: { ink: '#101418', paper: '#ffffff', refused: '#c1002b', changed: '#101418' },
  dark: { ink: '#ffffff', paper: '#0b0e11', refused: '#ff5a6e', changed: '#ffffff' },
} as const
/** Changes of one event that are shown singly at most. */
const MOST_CHANGED = 2000

/** What a map of a size shows, by its zoom and what is in its middle. */
export function shownLayout(
  frames: number,
  { width, height }: { readonly width: number; readonly height: number },
  { zoom, top, focus, order }: Pick<MapProps, 'zoom' | 'top' | 'focus' | 'order'>,
): MapLayout {
  const layout = layoutOf(frames, width, height, zoom, top ?? 0)
  return top === null
    ? layoutOf(frames, width, height, zoom, topFor(order.placeOf(focus), 0.5, layout))
    : layout
}

/** The frames of a machine on a canvas: from all of it to a single frame. */
export function FrameMap(props: MapProps) {
  const { looks, moment, other = null, scheme, zoom, order, marks, changed, label, onSelect, onView } = props
  const holder = useRef<HTMLDivElement>(null)
  const own = useRef<HTMLCanvasElement>(null)
  const canvas = props.canvas ?? own
  const box = useBox(holder)
  const layout = shownLayout(looks.length, box, props)
  const { top } = layout

  // `looks` changes inside, which `moment` tells.
  useLayoutEffect(() => {
    if (canvas.current === null || box.width === 0) return
    draw(canvas.current, box, layout, looks, other, order, scheme, marks, changed)
  }, [looks, moment, other, order, scheme, zoom, top, box, marks, changed])

  const drag = useRef<{ y: number; top: number; moved: boolean } | null>(null)
  const point = (event: PointerEvent | WheelEvent | MouseEvent) => {
    const { left, top: upper } = (canvas.current as HTMLCanvasElement).getBoundingClientRect()
    return { x: event.clientX - left, y: event.clientY - upper }
  }

  const zoomAt = (place: number, height: number, by: number): void => {
    const levels = zoomLevels(looks.length, box.width, box.height)
    const next = Math.max(0, Math.min(levels - 1, zoom + by))
    if (next === zoom || place < 0) return
    const wanted = layoutOf(looks.length, box.width, box.height, next, 0)
    onView({
      zoom: next,
      top: layoutOf(looks.length, box.width, box.height, next, topFor(place, height, wanted)).top,
    })
  }

  useEffect(() => {
    const target = canvas.current
    if (target === null) return
    // Preact listens to wheels passively, and such a listener cannot keep the page from scrolling.
    const wheel = (event: WheelEvent): void => {
      if (!event.ctrlKey && !event.metaKey && !event.altKey) return
      event.preventDefault()
      const { x, y } = point(event)
      zoomAt(placeAtPoint(layout, looks.length, x, y), y / box.height, event.deltaY < 0 ? 1 : -1)
    }
    target.addEventListener('wheel', wheel, { passive: false })
    return () => target.removeEventListener('wheel', wheel)
  })

  const chosen = marks.find(({ kind }) => kind === 'selected')
  const selected = chosen === undefined ? layout.top : order.placeOf(chosen.index)
  const keyDown = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = {
      ArrowLeft: -layout.perCell,
      ArrowRight: layout.perCell,
      ArrowUp: -layout.perCell * layout.columns,
      ArrowDown: layout.perCell * layout.columns,
      PageUp: -layout.perCell * layout.columns * layout.rows,
      PageDown: layout.perCell * layout.columns * layout.rows,
    }
    const step = steps[event.key]
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    event.stopPropagation()
    const place = Math.max(0, Math.min(looks.length - 1, selected + step))
    onSelect(order.frameAt(place))
    const { row } = cellOf(layout, place)
    if (row < 0 || row >= layout.rows) onView({ top: null })
  }

  return (
    <div class="map-and-scale">
      <MapScale
        layout={layout}
        frames={looks.length}
        scaleOf={(place) => props.scaleOf(order.frameAt(place))}
      />
      <div class="map" ref={holder}>
        <canvas
          ref={canvas}
          role="img"
          tabIndex={0}
          aria-label={label}
          style={{ width: `${box.width}px`, height: `${box.height}px` }}
          onKeyDown={keyDown}
          onDblClick={(event) => {
            const { x, y } = point(event)
            zoomAt(placeAtPoint(layout, looks.length, x, y), y / box.height, 1)
          }}
          onPointerDown={(event) => {
            if (event.button !== 0) return
            drag.current = { y: event.clientY, top: layout.top, moved: false }
            canvas.current?.setPointerCapture(event.pointerId)
          }}
          onPointerMove={(event) => {
            const from = drag.current
            if (from === null) return
            const rows = Math.round((from.y - event.clientY) / layout.size)
            if (rows === 0 && !from.moved) return
            from.moved = true
            onView({ top: Math.max(0, from.top + rows * layout.columns * layout.perCell) })
          }}
          onPointerUp={(event) => {
            const from = drag.current
            drag.current = null
            if (from === null || from.moved) return
            const { x, y } = point(event)
            const index = placeAtPoint(layout, looks.length, x, y)
            if (index !== -1) onSelect(index)
          }}
          onPointerCancel={() => {
            drag.current = null
          }}
        />
      </div>
      <p class="cell-says">
        {layout.perCell === 1
          ? 'A cell is a frame.'
          : `A cell is ${count(layout.perCell)} frames and shows the scarcest kind among them.`}
      </p>
    </div>
  )
}

/** Rows of the map between two of its scale's numbers, in CSS pixels at least. */
const SCALE_STEP = 56

/** The frames at which rows of the map begin. */
function MapScale(props: { layout: MapLayout; frames: number; scaleOf: (place: number) => string }) {
  const { layout, frames, scaleOf } = props
  const every = Math.max(1, Math.ceil(SCALE_STEP / layout.size))
  const marks: { row: number; says: string }[] = []
  for (let row = 0; row < layout.rows; row += every) {
    const place = layout.top + row * layout.columns * layout.perCell
    if (place < frames) marks.push({ row, says: scaleOf(place) })
  }
  return (
    <div class="scale" aria-hidden="true">
      {marks.map(({ row, says }) => (
        <span key={row} style={{ top: `${row * layout.size}px` }}>
          {says}
        </span>
      ))}
    </div>
  )
}

function draw(
  canvas: HTMLCanvasElement,
  box: Box,
  layout: MapLayout,
  looks: Uint8Array,
  other: Uint8Array | null,
  order: FrameOrder,
  scheme: Scheme,
  marks: readonly MapMark[],
  changed: Uint32Array,
): void {
  const width = Math.round(box.width * box.scale)
  const height = Math.round(box.height * box.scale)
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width
    canvas.height = height
  }
  const context = canvas.getContext('2d')
  if (context === null || width === 0 || height === 0) return
  const image = context.createImageData(width, height)
  const shades = cellShades(layout, looks, other?.length === looks.length ? other : null, order.frames)
  paintCells(image, shades, layout.columns, layout.size, box.scale, shadePixels(scheme))
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.putImageData(image, 0, 0)
  context.setTransform(box.scale, 0, 0, box.scale, 0, 0)
  drawChanged(context, layout, order, changed, STROKES[scheme].changed)
  for (const mark of marks) drawMark(context, layout, order, mark, scheme)
}

/** What the event changed: a dot in each cell, where they are few and cells are large enough. */
function drawChanged(
  context: CanvasRenderingContext2D,
  layout: MapLayout,
  order: FrameOrder,
  changed: Uint32Array,
  colour: string,
): void {
  if (changed.length === 0 || changed.length > MOST_CHANGED) return
  context.fillStyle = colour
  const side = Math.max(2, Math.floor(layout.size / 3))
  const inset = Math.floor((layout.size - side) / 2)
  for (const index of changed) {
    const { column, row } = cellOf(layout, order.placeOf(index))
    if (row < 0 || row >= layout.rows) continue
    context.fillRect(column * layout.size + inset, row * layout.size + inset, side, side)
  }
}

function drawMark(
  context: CanvasRenderingContext2D,
  layout: MapLayout,
  order: FrameOrder,
  mark: MapMark,
  scheme: Scheme,
): void {
  const { column, row } = cellOf(layout, order.placeOf(mark.index))
  if (row < 0 || row >= layout.rows) return
  const { ink, paper, refused } = STROKES[scheme]
  const x = column * layout.size
  const y = row * layout.size
  const { size } = layout
  if (mark.kind === 'selected' || mark.kind === 'refused') {
    // A ring around a cell that is too small to be outlined.
    const out = Math.max(3, (12 - size) / 2)
    const side = size + out * 2
    for (const [colour, line] of [
      [paper, 5],
      [mark.kind === 'refused' ? refused : ink, 2.5],
    ] as const) {
      context.strokeStyle = colour
      context.lineWidth = line
      context.strokeRect(x - out, y - out, side, side)
    }
    return
  }
  // start, end and top of the buffer: a flag at the left edge of their cell.
  const [tall, wide] = [Math.max(size, 9), 2]
  context.fillStyle = paper
  context.fillRect(x - wide, y - 1, wide * 2, tall + 2)
  context.fillStyle = ink
  context.fillRect(x - wide / 2, y, wide, tall)
  context.beginPath()
  context.moveTo(x, y)
  context.lineTo(x + 6, y + 3)
  context.lineTo(x, y + 6)
  context.fill()
}
