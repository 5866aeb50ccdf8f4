import type { Film, FrameOrder } from '../../../src/run/film/film.ts'
import type { MapLayout } from './layout.ts'
import { SHADE_DIFFERENT, SHADE_NONE, SHADE_OF_LOOK, SHADES } from './shades.ts'

/** The shade of every cell that is shown; with a second film also where its frames look different. */
export function cellShades(
  layout: MapLayout,
  looks: Uint8Array,
  other: Uint8Array | null,
  order: Uint32Array | null,
): Uint8Array {
  const { perCell, columns, rows, top } = layout
  const shades = new Uint8Array(columns * rows)
  for (let cell = 0, index = top; cell < shades.length; cell++) {
    const end = Math.min(looks.length, index + perCell)
    let shade = index >= looks.length ? SHADE_NONE : 0
    for (; index < end; index++) {
      const frame = order === null ? index : order[index]
      const one = SHADE_OF_LOOK[looks[frame]]
      if (one > shade) shade = one
      if (other !== null && other[frame] !== looks[frame]) shade = SHADE_DIFFERENT
    }
    index = top + (cell + 1) * perCell
    shades[cell] = shade
  }
  return shades
}

/**
 * Paint cells into an image, `scale` device pixels to a CSS pixel. Patterns run through all cells of a shade, so that they
 * show where cells are of two pixels too; cells that are large enough stand apart by a line.
 */
export function paintCells(
  image: ImageData,
  shades: Uint8Array,
  columns: number,
  size: number,
  scale: number,
  tiles: Uint32Array,
): void {
  const pixels = new Uint32Array(image.data.buffer)
  const { width, height } = image
  const side = size * scale
  const gap = size >= 6 ? Math.max(1, Math.round(scale)) : 0
  const columnOf = new Int32Array(width)
  const tileColumn = new Uint8Array(width)
  for (let x = 0; x < width; x++) {
    const column = Math.floor(x / side)
    const isGap = gap > 0 && x - column * side >= side - gap
    columnOf[x] = column < columns && !isGap ? column : -1
    tileColumn[x] = Math.floor(x / scale) & 7
  }
  const rows = shades.length / columns
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / side)
    const at = y * width
    if (row >= rows || (gap > 0 && y - row * side >= side - gap)) {
      pixels.fill(0, at, at + width)
      continue
    }
    const first = row * columns
    const tileRow = (Math.floor(y / scale) & 7) * 8
    for (let x = 0; x < width; x++) {
      const column = columnOf[x]
      pixels[at + x] = column === -1 ? 0 : tiles[shades[first + column] * 64 + tileRow + tileColumn[x]]
    }
  }
}

/** How many frames of each shade there are: the legend's numbers. */
export function countShades(looks: Uint8Array): Uint32Array {
  const byLook = new Uint32Array(256)
  for (let i = 0; i < looks.length; i++) byLook[looks[i]]++
  const counts = new Uint32Array(SHADES)
  byLook.forEach((count, look) => {
    counts[SHADE_OF_LOOK[look]] += count
  })
  return counts
}

/** A run of frames that look alike: the first one's index and place, and how many there are. */
export type LookRun = {
  readonly frame: number
  readonly place: number
  readonly count: number
  readonly look: number
}

/** The first `most` runs of frames that look alike and lie behind one another, from a place on. */
export function lookRuns(film: Film, order: FrameOrder, from: number, most: number): LookRun[] {
  const runs: { frame: number; place: number; count: number; look: number }[] = []
  let lastMfn = -2
  for (let place = from; place < film.frames; place++) {
    const frame = order.frameAt(place)
    const look = film.looks[frame]
    const last = runs.at(-1)
    // Within a run of equal looks only the edges of ranges and of the p2m's runs need a second look.
    const isNext = last !== undefined && last.look === look && frame === last.frame + last.count
    const mfn = isNext && !film.isRangeStart(frame) ? lastMfn + 1 : film.mfnOf(frame)
    if (isNext && mfn === lastMfn + 1) last.count++
    else if (runs.length === most) break
    else runs.push({ frame, place, count: 1, look })
    lastMfn = mfn
  }
  return runs
}

/** A run of frames that look different in two films in the same way. */
export type DifferenceRun = LookRun & { readonly other: number }

/** The first `most` runs of frames that look different in the second film. */
export function differenceRuns(a: Film, b: Film, order: FrameOrder, most: number): DifferenceRun[] {
  const runs: { frame: number; place: number; count: number; look: number; other: number }[] = []
  for (let place = 0; place < a.frames; place++) {
    const frame = order.frameAt(place)
    const look = a.looks[frame]
    const other = b.looks[frame]
    if (look === other) continue
    const last = runs.at(-1)
    const goesOn =
      last !== undefined &&
      last.look === look &&
      last.other === other &&
      last.place + last.count === place &&
      a.mfnOf(frame) === a.mfnOf(last.frame) + last.count
    if (goesOn) last.count++
    else if (runs.length === most) break
    else runs.push({ frame, place, count: 1, look, other })
  }
  return runs
}
