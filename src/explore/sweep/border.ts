import * as v from 'valibot'
import type { Border } from '../queue/kinds.ts'
import { isOutcomeOf, RowForm, SpecForm } from './forms.ts'
import { machinesIn, pieceCount, type SweepSpec } from './piece.ts'
import { checkSpace } from './read-space.ts'

const Row = v.pipe(
  RowForm,
  v.check(
    ({ outcome, signature }) => (outcome === 'booted') === (signature === ''),
    'a machine that booted has no signature, and one that failed has one',
  ),
)

function rowsOf({ space }: SweepSpec, piece: number): v.GenericSchema {
  const machines = machinesIn(space, piece)
  return v.pipe(
    v.array(Row),
    v.length(machines.length),
    v.check((list) => list.every(({ n }, i) => n === machines[i]), 'rows of other machines'),
    v.check((list) => list.every((row) => isOutcomeOf(space, row)), 'an end that no model has'),
  )
}

/** What peers of a queue may say of a sweep. */
export const border: Border = {
  // Files of this machine are nobody else's.
  spec: v.pipe(
    SpecForm,
    v.check(({ space }) => space.real === undefined, 'real kernels'),
  ),
  pieces({ space }: SweepSpec) {
    checkSpace(space)
    return pieceCount(space)
  },
  result: rowsOf,
}
