import type { MapLayout } from './layout.ts'
import { SHADE_DIFFERENT, SHADE_NONE, SHADE_OF_LOOK, SHADES } from './shades.ts'

/** The shade of every cell that is shown; with a second film also where its frames look different. */
export function cellShades(layout: MapLayout, looks: Uint8Array, other: Uint8Array | null): Uint8Array {
  const { perCell, columns, rows, top } = layout
  const shades = new Uint8Array(columns * rows)
  for (let cell = 0, index = top; cell < shades.length; cell++) {
    const end = Math.min(looks.length, index + perCell)
    let shade = index >= looks.length ? SHADE_NONE : 0
    for (; index < end; index++) {
      const one = SHADE_OF_LOOK[looks[index]]
      if (one > shade) shade = one
      if (other !== null && other[index] !== looks[index]) shade = SHADE_DIFFERENT
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

/** A run of frames that look alike. */
export type LookRun = { readonly index: number; readonly count: number; readonly look: number }

/** The first `most` runs of equal looks from a frame on: the map as a table. No run goes across one of the `breaks`. */
export function lookRuns(
  looks: Uint8Array,
  from: number,
  most: number,
  breaks: ReadonlySet<number>,
): LookRun[] {
  const runs: { index: number; count: number; look: number }[] = []
  for (let i = from; i < looks.length; i++) {
    const last = runs.at(-1)
    if (last !== undefined && last.look === looks[i] && !breaks.has(i)) last.count++
    else if (runs.length === most) break
    else runs.push({ index: i, count: 1, look: looks[i] })
  }
  return runs
}
