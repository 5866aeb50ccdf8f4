import { BadInput } from '../../bits/bad-input.ts'
import { parseScript, type ScriptLine } from '../../script/parse.ts'

/**
 * What a search may do: lines of the script language, the same ones in any order and as often as it likes. The first
 * lines give pages their names; all others are moves.
 */
export type Moves = {
  /** `page A B C`: what a script that repeats a sequence begins with. */
  readonly setup: readonly ScriptLine[]
  readonly lines: readonly ScriptLine[]
  readonly pages: readonly string[]
  /** Pages that can change places: every permutation of a class's pages makes moves of moves. */
  readonly classes: readonly (readonly string[])[]
}

/** More pages make more moves than a search comes to an end with, and more permutations than it can try. */
export const MOST_PAGES = 5

/**
 * The moves of a search when nobody says otherwise: all that an ordinary guest does with page tables, on a few pages and
 * in as few places as make a difference.
 *
 * - The first page, A, lies at a 2 MiB boundary, where a large page can begin. The others are alike.
 * - Slot 0 of a page is its entry; slot 511 takes the kernel's own part, without which no root can be used.
 * - KL4[300] and KL2[500] are free slots of the tables in use, W0 and W1 free pages of the address space,
 *   V:511.510.500.0 the first page behind KL2[500].
 * - NORAM is an address at which there is no memory: a device's, for dom0.
 */
export function defaultMoves(pageCount: number, isDomU: boolean): string {
  if (!Number.isInteger(pageCount) || pageCount < 1 || pageCount > MOST_PAGES) {
    throw new BadInput(`--pages ${pageCount}: give a number of pages from 1 to ${MOST_PAGES}`)
  }
  const pages = ['A', 'B', 'C', 'D', 'E'].slice(0, pageCount)
  const each = (...of: ((page: string) => string | string[])[]): string[] =>
    of.flatMap((line) => pages.flatMap(line))
  const targets = (place: string): string[] => [
    `${place} = 0`,
    ...each(
      (q) => `${place} = ${q}|P|US`,
      (q) => `${place} = ${q}|P|RW|US`,
    ),
  ]
  const device = ['uvm W1 = NORAM|P|RW|PWT|PCD', 'uvm W1 = NORAM|P|RW']
  return [
    `page ${pages.join(' ')}`,
    ...each(
      (p) => [`ro ${p}`, `rw ${p}`, `unmap ${p}`],
      (p) => [1, 2, 3, 4].map((level) => `pin${level} ${p}`),
      (p) => `unpin ${p}`,
      (p) => [...targets(`mmu ${p}[0]`), `mmu ${p}[0] = KL4|P|US`, `mmu ${p}[511] = KL3|P|RW|US`],
      (p) => [`set ${p}[0] = 0`, ...each((q) => `set ${p}[0] = ${q}|P|RW|US`)],
    ),
    ...targets('mmu KL4[300]'),
    'mmu KL4[300] = KL4|P|US',
    'mmu KL4[300] = KL4|P|RW|US',
    'mmu KL2[500] = 0',
    ...each((q) => `mmu KL2[500] = ${q}|P|RW|US`),
    'mmu KL2[500] = KL1W|P|RW|US',
    'mmu KL2[500] = A|P|RW|US|PSE',
    ...targets('uvm W0'),
    'uvm W1 = 0',
    ...each((q) => `uvm W1 = ${q}|P|US`),
    ...(isDomU ? [] : device),
    'uvm V:511.510.500.0 = 0',
    ...each((q) => `uvm V:511.510.500.0 = ${q}|P|RW|US`),
    ...each(
      (p) => `ubaseptr ${p}`,
      (p) => `baseptr ${p}`,
      (p) => `gdt 512 ${p}`,
    ),
    // A process is entered in the middle of a batch; what comes behind it is not the process's business.
    ...each((p) => `multi iret , mmu ${p}[0] = 0`),
    'ubaseptr 0',
    'baseptr KL4',
    'gdt 0',
    'setldt W0 1',
    'setldt 0 0',
    'ldsel 0x7',
    'ldsel 0x1007',
    'tlball',
  ].join('\n')
}

/** A search keeps a move in sixteen bits. */
export const MOST_MOVES = 2 ** 16

/** Verbs that no search can take back, or that change what names mean. */
const NOT_FOR_SEARCHES = new Set(['decr', 'incr', 'popp', 'exch', 'hc', 'sym', 'assist'])
/** Verbs that do nothing to the machine. */
const NO_MOVES = new Set(['info', 'autoinfo', 'echo', 'dump', 'get', 'm2p'])

/**
 * The moves in a text: its `page` lines first, then a move a line. Throws BadInput for a line that cannot be read, or that
 * a search cannot use.
 */
export function parseMoves(text: string, source: string): Moves {
  const setup: ScriptLine[] = []
  const lines: ScriptLine[] = []
  const pages: string[] = []
  const known = new Set<string>()
  for (const line of parseScript(text)) {
    const at = `${source}:${line.n}`
    if (line.op === null) throw new BadInput(`${at}: ${line.error}`)
    const { verb } = line.op
    if (verb === 'page') {
      if (lines.length > 0) throw new BadInput(`${at}: pages come before the first move`)
      setup.push(line)
      for (const name of line.op.names) pages.push(name)
    } else if (NOT_FOR_SEARCHES.has(verb)) {
      throw new BadInput(`${at}: '${verb}' is no move of a search, which must be able to take its moves back`)
    } else if (!NO_MOVES.has(verb) && !known.has(line.text)) {
      known.add(line.text)
      lines.push(line)
    }
  }
  if (lines.length === 0)
    throw new BadInput(`${source}: there is no move in it; give script lines, one a line`)
  if (lines.length > MOST_MOVES)
    throw new BadInput(`${source}: ${lines.length} moves are too many for a search; at most ${MOST_MOVES}`)
  if (pages.length > MOST_PAGES) {
    throw new BadInput(`${source}: ${pages.length} pages are too many for a search; at most ${MOST_PAGES}`)
  }
  return { setup, lines, pages, classes: symmetricPages(pages, lines) }
}

/**
 * Pages of which any two can be exchanged in all moves and the moves stay the same. Where there are large pages the first
 * page has a class of its own, as it alone lies where one can begin.
 */
function symmetricPages(pages: readonly string[], lines: readonly ScriptLine[]): string[][] {
  const texts = new Set(lines.map(({ text }) => normal(text)))
  const hasLarge = [...texts].some((text) => /\|(PSE|PAT|b7)\b/.test(text))
  const alike = (a: string, b: string): boolean =>
    !(hasLarge && a === pages[0]) &&
    [...texts].every((text) => texts.has(text.replace(WORD, (w) => (w === a ? b : w === b ? a : w))))
  const classes: string[][] = []
  for (const page of pages) {
    const known = classes.find(([first]) => alike(first, page))
    if (known === undefined) classes.push([page])
    else known.push(page)
  }
  return classes
}

/** A word that may be a page's name: not a flag, which is a name behind a `|`. */
const WORD = /(?<![\w|])[A-Za-z]\w*/g

function normal(text: string): string {
  return text.replace(/[,=]/g, ' $& ').replace(/\s+/g, ' ')
}
