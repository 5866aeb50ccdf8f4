import * as v from 'valibot'
import { BadInput } from '../../bits/bad-input.ts'
import { checked, text, whole } from '../../files/checked.ts'
import type { Shard } from '../jobs/job.ts'
import { ShardForm } from '../jobs/shard-form.ts'
import { isOutcomeOf, RowForm, SpecForm } from './forms.ts'
import type { Row, SweepSpec } from './piece.ts'
import { checkSpace } from './read-space.ts'
import { MOST_MACHINES, machineCount } from './space.ts'

/** The results of a sweep, whole or a shard's. */
export type Results = { readonly spec: SweepSpec; readonly rows: readonly Row[] }

const HeaderForm = v.strictObject({
  xenolith: v.literal('sweep'),
  schema: v.literal(1),
  version: text(64),
  machines: whole(1, MOST_MACHINES),
  shard: ShardForm,
  spec: SpecForm,
})
type Header = v.InferOutput<typeof HeaderForm>

/** More ways of failing than kernels have. */
const MOST_SIGNATURES = 1000

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
  const { spec, machines } = readHeader(lines[0] ?? '', file)
  const rows: Row[] = []
  const signatures = new Set<string>()
  for (const [i, line] of lines.entries()) {
    if (i === 0 || line === '') continue
    const row = v.safeParse(RowForm, parse(line), { abortEarly: true })
    if (!row.success || row.output.n >= machines || !isOutcomeOf(spec.space, row.output))
      throw new BadInput(`${file}: line ${i + 1} is no result of this sweep; is the file cut short?`)
    rows.push(row.output)
    signatures.add(row.output.signature)
  }
  if (signatures.size > MOST_SIGNATURES)
    throw new BadInput(
      `${file} has ${signatures.size} ways of failing; no sweep has more than ${MOST_SIGNATURES}`,
    )
  return { spec, rows }
}

function readHeader(line: string, file: string): Header {
  const value = parse(line)
  if ((value as Partial<Header> | null)?.xenolith !== 'sweep')
    throw new BadInput(`${file} is no result of a sweep; give a file that 'xenolith sweep --out' wrote`)
  const header = checked({ value, schema: HeaderForm, what: `${file}: line 1` })
  checkSpace(header.spec.space)
  if (header.machines !== machineCount(header.spec.space))
    throw new BadInput(`${file}: line 1 says ${header.machines} machines, but its axes have others`)
  return header
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
