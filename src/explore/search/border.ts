import * as v from 'valibot'
import { listOf, whole } from '../../files/checked.ts'
import type { Border } from '../queue/kinds.ts'
import { brokenAgain, FindingForm, MOST, SpaceForm } from './forms.ts'
import { type Space, walkerOf } from './space.ts'
import { type WalksSpec, walksJob, walkTask } from './walk-piece.ts'

const Spec = v.strictObject({
  space: SpaceForm,
  seed: whole(0, MOST.seed),
  walks: whole(0, MOST.walks),
  length: whole(0, MOST.length),
})

function walksOf({ space, ...spec }: WalksSpec, piece: number): v.GenericSchema {
  const { count } = walkTask({ space, ...spec }, piece)
  const finding = v.pipe(
    FindingForm,
    v.check(
      (found) => found.sequence.length <= spec.length && isTrue(space, found),
      'a sequence that breaks nothing of the kind',
    ),
  )
  return v.strictObject({ findings: listOf(finding, count), steps: whole(0, count * spec.length) })
}

/** Whether a sequence breaks what a finding says, with the holes that it says: it is carried out here. */
function isTrue(space: Space, found: v.InferOutput<typeof FindingForm>): boolean {
  const walker = walkerOf(space)
  const again = brokenAgain(walker, found)
  walker.machine.openHoles(walker.machine.open)
  return again?.says === found.says
}

/** What peers of a queue may say of random walks. */
export const border: Border = {
  spec: Spec,
  pieces: (spec: WalksSpec) => walksJob(spec).pieces,
  result: walksOf,
}
