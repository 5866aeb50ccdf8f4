import { ROOMS, type Room } from './rooms.ts'

/** How deep folders may lie in a room; a wall is stated for each depth, because import paths are relative. */
const DEPTHS = 4

/** One override of the linter's configuration, as far as walls need it. */
export type Override = { includes: string[]; linter: { rules: Record<string, unknown> } }

/**
 * The linter's overrides with the walls of every room.
 * @param others what the configuration has now; overrides that state no wall are kept
 */
export function biomeOverrides(others: Override[]): Override[] {
  return [...ROOMS.flatMap(wallsOf), ...others.filter((override) => !statesWall(override))]
}

function statesWall({ linter }: Override): boolean {
  return 'noRestrictedImports' in ((linter.rules.style as object | undefined) ?? {})
}

function wallsOf(room: Room): Override[] {
  return Array.from({ length: DEPTHS }, (_, depth) => ({
    includes: [`${room.folder}/${'*/'.repeat(depth)}*.{ts,tsx}`],
    linter: {
      rules: {
        style: { noRestrictedImports: { level: 'error', options: { patterns: [wall(room, depth)] } } },
      },
    },
  }))
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
export function roomsTable(): string {
  const rows = ROOMS.map(
    ({ folder, holds, imports }) => `| \`${folder}/\` | ${holds} | ${imports.join(', ') || 'nothing'} |`,
  )
  return ['| room | what lives there | may import |', '|---|---|---|', ...rows].join('\n')
}

/** A text with what stands between the table's two marks replaced. */
export function withTable(text: string, table: string): string {
  return text.replace(
    /(<!-- rooms -->\n)[\s\S]*?(\n<!-- \/rooms -->)/,
    (_, open, close) => open + table + close,
  )
}
