import { describeVersions } from '../../../run/versions/describe.ts'
import { differenceLines, versionRows } from '../../../run/versions/version-text.ts'
import { type Io, painted } from '../../io.ts'

/** What `xenolith versions` takes. */
export type VersionsFlags = { readonly name?: string; readonly json?: boolean }

/** Lists the versions of Xen that `--xen` takes, or says in what one differs from the one before. */
export function run({ name, json }: VersionsFlags, io: Io): number {
  const described = describeVersions(name)
  if (json) {
    io.json(JSON.stringify({ schema: 1, versions: described }, null, 2))
    return 0
  }
  const [head, ...rows] = aligned(versionRows(described))
  io.out(painted(io, 'bold', head))
  for (const row of rows) io.out(row)
  if (name === undefined) return 0
  for (const { advisory, title, fixedIn } of described[0].holes)
    io.out(`XSA-${advisory} is open: ${title}; mended in ${fixedIn.join(', ')}`)
  for (const line of differenceLines(described[0])) io.out(line)
  return 0
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  )
}
