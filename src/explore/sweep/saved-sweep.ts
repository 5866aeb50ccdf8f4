import * as v from 'valibot'
import { whole } from '../../files/checked.ts'
import {
  type CheckpointForm,
  impossibleCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from '../jobs/checkpoint.ts'
import { piecesOf } from '../jobs/job.ts'
import { ShardForm } from '../jobs/shard-form.ts'
import { isOutcomeOf, RowForm, SpecForm } from './forms.ts'
import { machinesIn, type Row } from './piece.ts'
import { checkSpace } from './read-space.ts'
import { rowLine } from './results.ts'
import { type SweepState, sweepJob } from './run-sweep.ts'
import { MOST_MACHINES } from './space.ts'

const HeadForm = v.strictObject({ spec: SpecForm, shard: ShardForm, done: whole(0, MOST_MACHINES) })

const FORM: CheckpointForm<typeof HeadForm> = { kind: 'sweep', head: HeadForm, parts: ['rows'] }

/** Save a sweep in a checkpoint. Throws BadInput where that is not possible. */
export function saveSweep(file: string, { spec, shard, done, rows }: SweepState): void {
  const text = rows.map(rowLine).join('\n')
  writeCheckpoint(file, 'sweep', {
    head: { spec, shard, done },
    parts: { rows: new TextEncoder().encode(text) },
  })
}

/**
 * The state that a checkpoint holds. Anybody can write a file and its checksum: what does not fit together is refused.
 * Throws BadInput.
 */
export function loadSweep(file: string): SweepState {
  const { head, parts } = readCheckpoint(file, FORM)
  const { spec, shard, done } = head
  const not = (why: string) => impossibleCheckpoint(file, why)
  checkSpace(spec.space)
  const rows: Row[] = []
  for (const line of linesOf(parts.rows)) {
    const row = v.safeParse(RowForm, parsed(line), { abortEarly: true })
    if (!row.success || !isOutcomeOf(spec.space, row.output))
      throw not(`its row ${rows.length + 1} is none of a sweep`)
    rows.push(row.output)
  }
  const state = { spec, shard, done, rows }
  let at = 0
  let pieces = 0
  for (const piece of piecesOf(sweepJob(spec), shard)) {
    if (pieces === done) break
    pieces++
    for (const n of machinesIn(spec.space, piece))
      if (rows[at++]?.n !== n) throw not('it has rows of other machines')
  }
  if (at !== rows.length || pieces !== done) throw not('it has done more than there is')
  return state
}

function* linesOf(bytes: Uint8Array): Generator<string> {
  const decoder = new TextDecoder()
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(10, at)
    const end = newline === -1 ? bytes.length : newline
    yield decoder.decode(bytes.subarray(at, end))
    at = end + 1
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}
