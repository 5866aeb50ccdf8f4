import * as v from 'valibot'
import type { Border } from '../queue/kinds.ts'
import { RowForm, SpecForm } from './forms.ts'
import { PIECE, pieceCount, type SweepSpec } from './piece.ts'
import { checkSpace } from './read-space.ts'
import { machineCount } from './space.ts'

const Row = v.pipe(
  RowForm,
  v.check(
    ({ outcome, signature }) => (outcome === 'booted') === (signature === ''),
    'a machine that booted has no signature, and one that failed has one',
  ),
)

function rowsOf({ space }: SweepSpec, piece: number): v.GenericSchema {
  const first = piece * PIECE
  const rows = Math.min(PIECE, machineCount(space) - first)
  return v.pipe(
    v.array(Row),
    v.length(rows),
    v.check((list) => list.every(({ n }, i) => n === first + i), 'rows of other machines'),
  )
}

/** What peers of a queue may say of a sweep. */
export const border: Border = {
  spec: SpecForm,
  pieces({ space }: SweepSpec) {
    checkSpace(space)
    return pieceCount(space)
  },
  result: rowsOf,
}
