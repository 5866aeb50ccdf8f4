import { foreignMarkup } from '../../bits/foreign-text.ts'
import type { MemoryMap } from '../../run/maps/maps.ts'

const WIDTH = 900
const ROW = 26
const GIB_4 = 2 ** 32

/** Fill and texture of each type: a colour never says more than the texture and the words do. */
const LOOKS: Readonly<Record<string, string>> = {
  usable: 'usable',
  reserved: 'reserved',
  'ACPI data': 'acpi',
  'ACPI NVS': 'nvs',
  unusable: 'unusable',
}

/** Something to point at in a map, bytes. */
export type Mark = { readonly at: number; readonly says: string }

/** The patterns of the pictures, once a page. */
export const PICTURE_DEFINITIONS = `<svg width="0" height="0" aria-hidden="true"><defs>
<pattern id="reserved" width="6" height="6" patternUnits="userSpaceOnUse"><path d="M0 6L6 0" stroke="currentColor"/></pattern>
<pattern id="nvs" width="5" height="5" patternUnits="userSpaceOnUse"><path d="M0 0H5M0 0V5" stroke="currentColor"/></pattern>
<pattern id="acpi" width="5" height="5" patternUnits="userSpaceOnUse"><circle cx="2" cy="2" r="1.2" fill="currentColor"/></pattern>
<pattern id="unusable" width="6" height="6" patternUnits="userSpaceOnUse"><path d="M0 0L6 6" stroke="currentColor"/></pattern>
</defs></svg>`

/**
 * A map as a picture: one bar up to 4 GiB and one above it, each to scale, with lines where marks are. What no entry covers
 * is blank.
 */
export function mapPicture(map: MemoryMap, marks: readonly Mark[]): string {
  const end = Math.max(...map.entries.map((entry) => entry.end))
  // A window of devices at the top of the address space would leave no room for the RAM.
  const ramEnd = Math.max(0, ...map.entries.filter(({ type }) => type === 'usable').map((entry) => entry.end))
  const rows = [
    { from: 0, to: Math.min(GIB_4, Math.max(end, 1)) },
    ...(ramEnd > GIB_4 ? [{ from: GIB_4, to: ramEnd }] : []),
  ]
  const shapes = rows.flatMap(({ from, to }, i) => bar(map, marks, from, to, i * (ROW + 30)))
  const height = rows.length * (ROW + 30)
  const title = `Memory map ${map.name}`
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${foreignMarkup(title)}">${shapes.join('')}</svg>`
}

function bar(map: MemoryMap, marks: readonly Mark[], from: number, to: number, top: number): string[] {
  const x = (at: number): number => Math.round(((at - from) / (to - from)) * WIDTH * 100) / 100
  const inside = map.entries.filter((entry) => entry.start < to && entry.end > from)
  const shapes = inside.map((entry) => {
    const left = x(Math.max(entry.start, from))
    const width = Math.max(0.5, x(Math.min(entry.end, to)) - left)
    const look = LOOKS[entry.type] ?? 'reserved'
    const says = `${hex(entry.start)} to ${hex(entry.end)} ${entry.type}`
    const fill = look === 'usable' ? '' : ` style="fill:url(#${look})"`
    return `<rect class="${look}" x="${left}" y="${top}" width="${width}" height="${ROW}"${fill}><title>${foreignMarkup(says)}</title></rect>`
  })
  const pointed = marks
    .filter(({ at }) => at >= from && at < to)
    .map(
      ({ at, says }) =>
        `<path class="mark" d="M${x(at)} ${top - 2}V${top + ROW + 4}"><title>${foreignMarkup(says)}</title></path>`,
    )
  return [
    ...shapes,
    `<rect class="frame" x="0" y="${top}" width="${WIDTH}" height="${ROW}"/>`,
    ...pointed,
    `<text x="0" y="${top + ROW + 16}">${hex(from)}</text>`,
    `<text x="${WIDTH}" y="${top + ROW + 16}" text-anchor="end">${hex(to)}</text>`,
  ]
}

function hex(n: number): string {
  return `0x${n.toString(16)}`
}
