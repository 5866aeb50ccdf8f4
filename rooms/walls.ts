import { type Layer, ROOMS, type Room } from './rooms.ts'

/** How deep folders may lie in a room; a wall is stated for each depth, because import paths are relative. */
const DEPTHS = 4

/** One override of the linter's configuration, as far as walls need it. */
export type Override = { includes: string[]; linter: { rules: Record<string, unknown> } }

/**
 * The linter's overrides with the walls of every room.
 * @param others what the configuration has now; overrides that state no wall are kept
 */
export function biomeOverrides(others: Override[]): Override[] {
  return [
    ...ROOMS.flatMap(wallsOf),
    ...ROOMS.flatMap(layerWalls),
    ...others.filter((override) => !statesWall(override)),
  ]
}

function statesWall({ linter }: Override): boolean {
  return 'noRestrictedImports' in ((linter.rules.style as object | undefined) ?? {})
}

function wallsOf(room: Room): Override[] {
  return Array.from({ length: DEPTHS }, (_, depth) =>
    forbid([`${room.folder}/${'*/'.repeat(depth)}*.{ts,tsx}`], [wall(room, depth)]),
  )
}

/** The walls of a room's layers, which repeat the room's own: of two overrides for a file the last one counts. */
function layerWalls(room: Room): Override[] {
  const { layers = [] } = room
  return layers.flatMap((layer, i) => {
    const above = layers.slice(i + 1)
    if (above.length === 0) return []
    const files = layer.of.filter((name) => name.endsWith('.ts'))
    const folders = layer.of.filter((name) => !name.endsWith('.ts'))
    return Array.from({ length: DEPTHS }, (_, depth) => {
      const places =
        depth === 0 ? files : folders.map((folder) => `${folder}/${'*/'.repeat(depth - 1)}*.{ts,tsx}`)
      const includes = places.map((place) => `${room.folder}/${place}`)
      return forbid(includes, [wall(room, depth), ceiling(room, layer, above, depth)])
    }).filter(({ includes }) => includes.length > 0)
  })
}

function forbid(includes: string[], patterns: object[]): Override {
  return {
    includes,
    linter: { rules: { style: { noRestrictedImports: { level: 'error', options: { patterns } } } } },
  }
}

function ceiling(room: Room, layer: Layer, above: Layer[], depth: number) {
  const up = depth === 0 ? './' : '../'.repeat(depth)
  const names = above.flatMap(({ of }) => of)
  return {
    group: names.map((name) => `${up}${name.endsWith('.ts') ? name : `${name}/**`}`),
    message: `${layer.of.join(', ')} of ${room.folder} may not import the layers above: ${names.join(', ')}; see the table of layers in ARCHITECTURE.md.`,
  }
}

function wall(room: Room, depth: number) {
  const out = '../'.repeat(depth + 1)
  const src = room.folder.startsWith('src/') ? out : `${out}../src/`
  const allowed = room.imports.map((name) => `!${src}${name.endsWith('.ts') ? name : `${name}/**`}`)
  const may = room.imports.length > 0 ? room.imports.join(', ') : 'no other room'
  return {
    group: [`${out}**`, ...allowed],
    message: `${room.folder} may import ${may} only; see the table of rooms in ARCHITECTURE.md.`,
  }
}

/** The table of rooms as Markdown. */
function roomsTable(): string {
  const rows = ROOMS.map(
    ({ folder, holds, imports }) => `| \`${folder}/\` | ${holds} | ${imports.join(', ') || 'nothing'} |`,
  )
  return ['| room | what lives there | may import |', '|---|---|---|', ...rows].join('\n')
}

/** The tables of rooms that have layers, from the bottom up. */
function layersTable(): string {
  const rows = ROOMS.flatMap(({ folder, layers = [] }) =>
    layers.map(({ of, holds }) => {
      const names = of.map((name) => `\`${name.endsWith('.ts') ? name : `${name}/`}\``)
      return `| \`${folder}/\` | ${names.join(', ')} | ${holds} |`
    }),
  )
  return ['| room | layer | what lives there |', '|---|---|---|', ...rows].join('\n')
}

/** A text with what stands between a table's two marks replaced. */
function withTable(text: string, name: 'rooms' | 'layers', table: string): string {
  const marked = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(\\n<!-- /${name} -->)`)
  return text.replace(marked, (_, open, close) => open + table + close)
}

/** The reading guide with both tables. */
export function withTables(guide: string): string {
  return withTable(withTable(guide, 'rooms', roomsTable()), 'layers', layersTable())
}
