/**
 * Where frames lie in a map: in rows from the left, each cell one frame or several, by their places in an order of frames.
 * What is said of sizes is in CSS pixels.
 */
export type MapLayout = {
  /** Frames of a cell. */
  readonly perCell: number
  /** Side of a cell. */
  readonly size: number
  readonly columns: number
  readonly rows: number
  /** Place of the first frame that is shown. */
  readonly top: number
}

/** Cells of one frame grow through these sizes; smaller ones hold several frames. */
const SIZES = [3, 4, 6, 8, 12, 16, 24, 32]
const SMALLEST = 2

/** Frames of a cell with which the whole machine fits. */
function wholePerCell(frames: number, width: number, height: number): number {
  const cells = Math.max(1, Math.floor(width / SMALLEST) * Math.floor(height / SMALLEST))
  return Math.max(1, Math.ceil(frames / cells))
}

/** Below the whole machine cells hold so many times two frames fewer, down to one. */
function halvings(whole: number): number {
  return Math.ceil(Math.log2(whole))
}

/** How many levels of zoom a map has; 0 is the whole machine. */
export function zoomLevels(frames: number, width: number, height: number): number {
  return halvings(wholePerCell(frames, width, height)) + SIZES.length + 1
}

/** The layout of a level of zoom; `top` is moved so that rows are whole and the map is as full as it can be. */
export function layoutOf(
  frames: number,
  width: number,
  height: number,
  zoom: number,
  top: number,
): MapLayout {
  const whole = wholePerCell(frames, width, height)
  const steps = halvings(whole)
  const level = Math.max(0, Math.min(zoom, steps + SIZES.length))
  const perCell = level === 0 ? whole : 2 ** Math.max(0, steps - level)
  let size = level <= steps ? SMALLEST : SIZES[level - steps - 1]
  if (level === 0) size = largestThatFits(frames / perCell, width, height)
  const columns = Math.max(1, Math.floor(width / size))
  const rows = Math.max(1, Math.floor(height / size))
  const inRow = columns * perCell
  const lastTop = Math.max(0, Math.ceil(frames / inRow) - rows) * inRow
  return {
    perCell,
    size,
    columns,
    rows,
    top: Math.max(0, Math.min(lastTop, Math.floor(top / inRow) * inRow)),
  }
}

/** A small machine's cells may be larger and still all be seen. */
function largestThatFits(cells: number, width: number, height: number): number {
  let size = SMALLEST
  while (size < 32 && Math.floor(width / (size + 1)) * Math.floor(height / (size + 1)) >= cells) size++
  return size
}

/** The `top` with which a place stays at a height of the map, 0 to 1, when the zoom changes. */
export function topFor(place: number, at: number, layout: MapLayout): number {
  const inRow = layout.columns * layout.perCell
  return (Math.floor(place / inRow) - Math.floor(at * layout.rows)) * inRow
}

/** Place of the first frame of the cell at a point, or -1. */
export function placeAtPoint(layout: MapLayout, frames: number, x: number, y: number): number {
  const column = Math.floor(x / layout.size)
  const row = Math.floor(y / layout.size)
  if (column < 0 || row < 0 || column >= layout.columns || row >= layout.rows) return -1
  const place = layout.top + (row * layout.columns + column) * layout.perCell
  return place < frames ? place : -1
}

/** Column and row of a place's cell; the row may lie outside what is shown. */
export function cellOf(layout: MapLayout, place: number): { column: number; row: number } {
  const cell = Math.floor((place - layout.top) / layout.perCell)
  const row = Math.floor(cell / layout.columns)
  return { column: cell - row * layout.columns, row }
}
