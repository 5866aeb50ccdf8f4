import { mapLines, ramBytes } from '../../../run/maps/map-text.ts'
import { type MemoryMap, shippedMaps } from '../../../run/maps/maps.ts'
import { loadMap } from '../../files.ts'
import { type Io, painted } from '../../io.ts'

/** What `xenolith maps` takes. */
export type MapsFlags = { readonly name?: string; readonly json?: boolean; readonly wide?: boolean }

const MIB = 2 ** 20

/** Lists the shipped maps, or prints one as a boot log shows it. */
export function run(options: MapsFlags, io: Io): number {
  if (options.name !== undefined) {
    const map = loadMap(options.name)
    if (options.json) io.json(JSON.stringify(described(map), null, 2))
    else io.out(mapLines(map).join('\n'))
  } else if (options.json) {
    io.json(JSON.stringify({ schema: 1, maps: shippedMaps().map(described) }, null, 2))
  } else {
    const [head, ...rows] = table(shippedMaps(), options.wide === true)
    io.out(painted(io, 'bold', head))
    for (const row of rows) io.out(row)
  }
  return 0
}

/** A map as JSON: addresses and counts in hex, as a map file has them. */
function described(map: MemoryMap): object {
  return {
    name: map.name,
    kind: map.kind,
    partial: map.partial,
    source: map.source,
    ram_bytes: ramBytes(map),
    nr_pages: map.nrPages === undefined ? null : hex(map.nrPages),
    v_end: map.vEnd === undefined ? null : hex(map.vEnd),
    entries: map.entries.map(({ start, end, type }) => ({ start: hex(start), end: hex(end), type })),
  }
}

/** A line a map. Where a map comes from is long: it is shown when there is room for it. */
function table(maps: readonly MemoryMap[], wide: boolean): string[] {
  const rows = maps.map((map) => [
    map.name,
    map.kind,
    `${Math.floor(ramBytes(map) / MIB)}M${map.partial ? '+' : ''}`,
    map.nrPages === undefined ? '-' : hex(map.nrPages),
    map.vEnd === undefined ? '-' : hex(map.vEnd),
    ...(wide ? [map.source] : []),
  ])
  const all = [['NAME', 'KIND', 'RAM', 'PAGES', 'V_END', ...(wide ? ['SOURCE'] : [])], ...rows]
  const widths = all[0].map((_, column) => Math.max(...all.map((row) => row[column].length)))
  return all.map((row) => {
    const line = row.map((cell, column) =>
      column === 2 ? cell.padStart(widths[2]) : cell.padEnd(widths[column]),
    )
    return line.join('  ').trimEnd()
  })
}

function hex(value: number): string {
  return `0x${value.toString(16)}`
}
