import { useLayoutEffect, useRef } from 'preact/hooks'
import type { Film } from '../../../src/run/film/film.ts'
import { paintCells } from '../map/paint.ts'
import { type Scheme, SHADE_NONE, SHADE_OF_LOOK, shadePixels } from '../map/shades.ts'
import { useBox } from '../use-media.ts'
import { bare, count } from '../words.ts'

const CELL = 7

/** The buffer of early tables, page by page: its used part, its tail, and how each page looks just now. */
export function BufferStrip(props: {
  film: Film
  event: number
  scheme: Scheme
  selected: number
  onSelect: (mfn: number) => void
}) {
  const { film, event, scheme, selected, onSelect } = props
  const holder = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const box = useBox(holder)
  const buffer = film.buffer()
  const { start, end, top } = buffer ?? { start: 0, end: 0, top: 0 }
  const columns = Math.max(1, Math.floor(box.width / CELL))
  const rows = Math.ceil((top - start) / columns)

  /** Choose a page of the buffer, if it is one. */
  const choose = (pfn: number): void => {
    const mfn = pfn >= start && pfn < top ? film.mfnOfPfn(pfn) : -1
    if (mfn !== -1) onSelect(mfn)
  }

  // The film changes inside, which `event` tells.
  useLayoutEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (context === null || context === undefined || box.width === 0 || rows === 0) return
    const target = context.canvas
    target.width = Math.round(columns * CELL * box.scale)
    target.height = Math.round(rows * CELL * box.scale)
    const shades = new Uint8Array(columns * rows).fill(SHADE_NONE)
    for (let pfn = start; pfn < top; pfn++) {
      const index = film.indexOf(film.mfnOfPfn(pfn))
      if (index !== -1) shades[pfn - start] = SHADE_OF_LOOK[film.looks[index]]
    }
    const image = context.createImageData(target.width, target.height)
    paintCells(image, shades, columns, CELL, box.scale, shadePixels(scheme))
    context.putImageData(image, 0, 0)
    context.setTransform(box.scale, 0, 0, box.scale, 0, 0)
    const ink = scheme === 'light' ? '#101418' : '#ffffff'
    // A line between the used part and the tail.
    if (end > start && end < top) mark(context, end - start, columns, ink, 2)
    const pfn = film.pfnOf(selected)
    if (pfn >= start && pfn < top) outline(context, pfn - start, columns, ink)
  }, [film, event, scheme, selected, box, start, end, top])

  return (
    <section class="panel buffer" aria-labelledby="buffer-title">
      <h2 id="buffer-title">Buffer for page tables</h2>
      {buffer === null ? (
        <p class="quiet">There is none yet.</p>
      ) : (
        <dl class="facts across">
          <Fact name="start" value={bare(start)} />
          <Fact name="end" value={bare(end)} />
          <Fact name="top" value={bare(top)} />
          <Fact name="used" value={`${count(end - start)} ${end - start === 1 ? 'table' : 'tables'}`} />
          <Fact name="tail" value={`${count(top - end)} ${top - end === 1 ? 'page' : 'pages'}`} />
        </dl>
      )}
      <div class="strip" ref={holder}>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`Pages ${bare(start)} to ${bare(top)}: ${count(end - start)} used as tables, ${count(top - end)} in the tail. Arrow keys choose a page.`}
          style={{
            width: `${columns * CELL}px`,
            height: `${rows * CELL}px`,
            display: buffer === null ? 'none' : 'block',
          }}
          tabIndex={0}
          onKeyDown={(event) => {
            const steps: Record<string, number> = {
              ArrowLeft: -1,
              ArrowRight: 1,
              ArrowUp: -columns,
              ArrowDown: columns,
            }
            const by = steps[event.key]
            if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return
            event.preventDefault()
            event.stopPropagation()
            const pfn = film.pfnOf(selected)
            choose(pfn >= start && pfn < top ? pfn + by : start)
          }}
          onClick={(click) => {
            const { left, top: upper } = (click.currentTarget as HTMLElement).getBoundingClientRect()
            const column = Math.floor((click.clientX - left) / CELL)
            if (column < columns)
              choose(start + Math.floor((click.clientY - upper) / CELL) * columns + column)
          }}
        />
      </div>
    </section>
  )
}

export function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}

function mark(
  context: CanvasRenderingContext2D,
  cell: number,
  columns: number,
  ink: string,
  wide: number,
): void {
  const x = (cell % columns) * CELL
  const y = Math.floor(cell / columns) * CELL
  context.fillStyle = ink
  context.fillRect(x - wide + 0.5, y - 1, wide, CELL + 1)
  context.fillRect(x - wide + 0.5, y - 1, CELL, wide)
}

function outline(context: CanvasRenderingContext2D, cell: number, columns: number, ink: string): void {
  context.strokeStyle = ink
  context.lineWidth = 2
  context.strokeRect((cell % columns) * CELL - 1, Math.floor(cell / columns) * CELL - 1, CELL + 1, CELL + 1)
}
