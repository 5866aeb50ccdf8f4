import { BadInput } from '../../bits/bad-input.ts'
import type { Shard } from '../jobs/job.ts'
import type { Row, SweepSpec } from './piece.ts'
import { machineCount } from './space.ts'

/** The results of a sweep, whole or a shard's. */
export type Results = { readonly spec: SweepSpec; readonly rows: readonly Row[] }

type Header = {
  readonly xenolith: 'sweep'
  readonly schema: 1
  readonly version: string
  readonly machines: number
  readonly shard: Shard
  readonly spec: SweepSpec
}

/** The first line of results: what was swept, so that shards that belong together are known. */
export function headerLine(spec: SweepSpec, shard: Shard, version: string): string {
  const machines = machineCount(spec.space)
  return JSON.stringify({ xenolith: 'sweep', schema: 1, version, machines, shard, spec } satisfies Header)
}

/** A line for one machine. */
export function rowLine(row: Row): string {
  return JSON.stringify(row)
}

/** Results out of a file that `--jsonl` or `--out` wrote. Throws BadInput, which names file and line. */
export function readResults(lines: readonly string[], file: string): Results {
  const header = parse(lines[0] ?? '') as Partial<Header> | null
  if (header?.xenolith !== 'sweep' || header.schema !== 1 || header.spec === undefined)
    throw new BadInput(`${file} is no result of a sweep; give a file that 'xenolith sweep --out' wrote`)
  const machines = machineCount(header.spec.space)
  const rows: Row[] = []
  for (const [i, line] of lines.entries()) {
    if (i === 0 || line === '') continue
    const row = parse(line) as Row | null
    const known = row !== null && typeof row.outcome === 'string' && typeof row.signature === 'string'
    if (!known || !Number.isInteger(row.n) || row.n < 0 || row.n >= machines)
      throw new BadInput(`${file}: line ${i + 1} is no result of this sweep; is the file cut short?`)
    rows.push(row)
  }
  return { spec: header.spec, rows }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

/**
 * One result out of those of shards, in the order of the machines. A machine that two of them have counts once.
 *
 * @throws BadInput where they are of different sweeps, say different things of a machine, or leave some out
 */
export function mergeResults(
  parts: readonly { readonly file: string; readonly results: Results }[],
): Results {
  const [first] = parts
  const spec = JSON.stringify(first.results.spec)
  const byNumber = new Map<number, Row>()
  for (const { file, results } of parts) {
    if (JSON.stringify(results.spec) !== spec)
      throw new BadInput(
        `${file} is of another sweep than ${first.file}: its machines, seed or forecast differ`,
      )
    for (const row of results.rows) {
      const known = byNumber.get(row.n)
      if (known !== undefined && rowLine(known) !== rowLine(row))
        throw new BadInput(
          `${file} says something else of machine ${row.n} than the files before it; run one version of xenolith on all`,
        )
      byNumber.set(row.n, row)
    }
  }
  const machines = machineCount(first.results.spec.space)
  if (byNumber.size < machines) {
    let missing = 0
    while (byNumber.has(missing)) missing++
    throw new BadInput(
      `${machines - byNumber.size} of ${machines} machines are missing, the first is ${missing}; give the files of all shards`,
    )
  }
  return { spec: first.results.spec, rows: [...byNumber.values()].sort((a, b) => a.n - b.n) }
}
