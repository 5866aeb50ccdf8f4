import type { Cpu } from '../../../src/cpu/cpu.ts'
import type { RegionCode } from '../../../src/cpu/region/region-code.ts'
import { RECORD } from '../../../src/cpu/state.ts'

/**
 * What always holds of compiled regions: one that can be entered has a record that the table of its page leads to, was made from
 * the bytes that its pages have now, and every one of these is marked as decoded, so that stores to it are seen.
 */
const PAGE = 4096

/** What the regions of a core keep for themselves. */
type Region = {
  readonly va: number
  readonly place: number
  readonly code: RegionCode
  readonly entry: { readonly record: number; readonly pages: readonly number[] } | null
}
type Regions = {
  readonly table: { get(place: number): unknown }
  readonly byPage: ReadonlyMap<number, ReadonlySet<Region>>
}

/** A page with decoded code: its number, the address of its table, a bit for each byte that was decoded. */
type CodePage = { readonly page: number; readonly map: number; readonly decoded: Uint8Array }

/** Everything that is wrong with a core's regions, a sentence each. */
export function brokenRegions(cpu: Cpu, pages: ReadonlyMap<number, CodePage>): string[] {
  // biome-ignore lint/complexity/useLiteralKeys: the regions are the core's own
  const { byPage, table } = cpu['regions'] as unknown as Regions
  const wrong: string[] = []
  for (const region of new Set([...byPage.values()].flatMap((regions) => [...regions]))) {
    const say = (what: string): void => void wrong.push(`region at ${region.va.toString(16)}: ${what}`)
    const { entry, place, va } = region
    if (entry === null) {
      say('is entered no more, and known by a page')
      continue
    }
    if (table.get(place) === null) say('has no function')
    for (const page of entry.pages)
      if (byPage.get(page)?.has(region) !== true) say('has a page that does not know')
    const first = pages.get(entry.pages[0])
    if (first === undefined) say('begins in a page without a table')
    else if (cpu.words[(first.map >> 2) + (va % PAGE)] !== entry.record) say('is not led to')
    if (cpu.words[(entry.record + RECORD.b) >> 2] !== place) say('has the record of another')
    for (const what of brokenCode(cpu, region.code, entry.pages, pages)) say(what)
  }
  return wrong
}

function* brokenCode(
  { memory }: Cpu,
  { pages: addresses, pieces }: RegionCode,
  numbers: readonly number[],
  pages: ReadonlyMap<number, CodePage>,
): Generator<string> {
  // Where two of its addresses are of one page, which is whose is not kept.
  if (addresses.length !== numbers.length) return
  for (const { page, offset, bytes } of pieces) {
    const number = numbers[page]
    const decoded = pages.get(number)?.decoded
    for (const [i, byte] of bytes.entries()) {
      const at = offset + i
      if (memory.u8[number * PAGE + at] !== byte) yield `was made from another byte at ${at.toString(16)}`
      if (decoded === undefined || (decoded[at >> 3] & (1 << (at & 7))) === 0)
        yield `has a byte at ${at.toString(16)} that is not marked`
    }
  }
}
