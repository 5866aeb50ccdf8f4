import { CLASS_OF_LOOK, FRAME_CLASSES, type FrameClass, LOOK_PINNED } from '../../../src/run/film/film.ts'

/** How a class is drawn: two tones, and an 8 by 8 pattern of the second upon the first. Never by colour alone. */
type Paint = {
  readonly light: readonly [base: string, mark: string]
  readonly dark: readonly [base: string, mark: string]
  readonly pattern: readonly string[]
}

const PLAIN = ['........']
const DOTS = ['#...#...', '........', '..#...#.', '........']
const RISING = [
  '#.......',
  '.......#',
  '......#.',
  '.....#..',
  '....#...',
  '...#....',
  '..#.....',
  '.#......',
]
const FALLING = [
  '#.......',
  '.#......',
  '..#.....',
  '...#....',
  '....#...',
  '.....#..',
  '......#.',
  '.......#',
]
const LEVEL = ['########', '........', '........', '........']
const UPRIGHT = ['#...']
const GRID = ['########', '#.......', '#.......', '#.......', '#.......', '#.......', '#.......', '#.......']
const CROSSED = ['#...', '.#.#', '..#.', '.#.#']
const RINGS = ['.##.', '#..#', '#..#', '.##.']
const CHECKED = ['##..', '##..', '..##', '..##']

/** Colours that stay apart for the colour-blind (after Okabe and Ito), with a pattern each. */
const PAINTS: Readonly<Record<FrameClass, Paint>> = {
  free: { light: ['#f4f6f8', '#f4f6f8'], dark: ['#14181d', '#14181d'], pattern: PLAIN },
  device: { light: ['#d5dae0', '#a9b2bc'], dark: ['#2a3038', '#444d59'], pattern: CHECKED },
  xen: { light: ['#b9b2c9', '#8d84a5'], dark: ['#4a4359', '#6d6485'], pattern: CHECKED },
  unmapped: { light: ['#dde3ea', '#c3ccd6'], dark: ['#262d36', '#38424e'], pattern: DOTS },
  'read-only': { light: ['#8fcdf0', '#3f9fd4'], dark: ['#2f7ba6', '#7fc4ec'], pattern: RISING },
  writable: { light: ['#f2c14e', '#f2c14e'], dark: ['#a06f00', '#a06f00'], pattern: PLAIN },
  L1: { light: ['#1f6fb2', '#1f6fb2'], dark: ['#4f9be0', '#4f9be0'], pattern: PLAIN },
  L2: { light: ['#00846a', '#59c9b0'], dark: ['#1fae8e', '#0a5f4c'], pattern: LEVEL },
  L3: { light: ['#b3558f', '#e3a9cb'], dark: ['#d67fb4', '#8a3a6b'], pattern: UPRIGHT },
  L4: { light: ['#c44601', '#f2a477'], dark: ['#ea6b26', '#8f3300'], pattern: GRID },
  descriptors: { light: ['#6b5b2a', '#b7a66c'], dark: ['#a8945a', '#5d4f26'], pattern: FALLING },
  shared: { light: ['#8a8a8a', '#d0d0d0'], dark: ['#9a9a9a', '#555555'], pattern: RINGS },
}

/** A pinned table has dots of paper on whatever its class is. */
const PINNED = [
  '........',
  '.##.....',
  '.##.....',
  '........',
  '........',
  '.....##.',
  '.....##.',
  '........',
]
const PAPER = { light: '#ffffff', dark: '#0b0e11' } as const
/** Where two films differ. */
const DIFFERENT = { light: '#d6006c', dark: '#ff5fa8' } as const

/**
 * A shade is what one cell is painted with: its class, twice over, plus one where it is pinned. A cell of several frames
 * has the shade that comes first in this order among theirs, so that the few tables among a million frames are seen.
 */
const ORDER: readonly FrameClass[] = [
  'free',
  'unmapped',
  'device',
  'xen',
  'writable',
  'read-only',
  'shared',
  'descriptors',
  'L1',
  'L2',
  'L3',
  'L4',
]
export const SHADES = ORDER.length * 2
/** The extra shade of a cell in which films differ. */
export const SHADE_DIFFERENT = SHADES
/** What lies outside the map. */
export const SHADE_NONE = SHADES + 1

/** For each look its shade: the higher wins in a cell. */
export const SHADE_OF_LOOK: Uint8Array = Uint8Array.from({ length: 256 }, (_, look) => {
  const { name } = FRAME_CLASSES[CLASS_OF_LOOK[look]]
  return ORDER.indexOf(name) * 2 + ((look & LOOK_PINNED) !== 0 && name.startsWith('L') ? 1 : 0)
})

export function shadeOf(name: FrameClass, pinned = false): number {
  return ORDER.indexOf(name) * 2 + Number(pinned)
}

export type Scheme = 'light' | 'dark'

/** The pixels of every shade: 64 of an 8 by 8 tile each, as 32-bit words in the order of a canvas. */
export function shadePixels(scheme: Scheme): Uint32Array {
  const pixels = new Uint32Array((SHADES + 2) * 64)
  const paper = word(PAPER[scheme])
  ORDER.forEach((name, i) => {
    const { [scheme]: tones, pattern } = PAINTS[name]
    const [base, mark] = tones.map(word)
    for (let at = 0; at < 64; at++) {
      const pixel = isMarked(pattern, at) ? mark : base
      pixels[i * 128 + at] = pixel
      pixels[i * 128 + 64 + at] = isMarked(PINNED, at) ? paper : pixel
    }
  })
  for (let at = 0; at < 64; at++) {
    pixels[SHADE_DIFFERENT * 64 + at] = isMarked(CROSSED, at) ? paper : word(DIFFERENT[scheme])
    pixels[SHADE_NONE * 64 + at] = 0
  }
  return pixels
}

function isMarked(pattern: readonly string[], at: number): boolean {
  const row = pattern[(at >>> 3) % pattern.length]
  return row[(at & 7) % row.length] === '#'
}

/** `#rrggbb` as a canvas's little-endian pixel, opaque. */
function word(colour: string): number {
  const rgb = Number.parseInt(colour.slice(1), 16)
  return (0xff00_0000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >>> 16)) >>> 0
}
