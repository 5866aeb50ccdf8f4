import * as v from 'valibot'
import type { Border } from '../queue/kinds.ts'
import { brokenBy, type Finding } from './finding.ts'
import { type Space, walkerOf } from './space.ts'
import { type WalksSpec, walksJob, walkTask } from './walk-piece.ts'

/** What random walks are, and what came of them, to whoever reads them back. */
const whole = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(most))
const text = (most: number) => v.pipe(v.string(), v.maxLength(most))

/** A space as a file or a message has it. */
export const SEARCH_SPACE = v.strictObject({
  xen: text(100),
  domain: v.picklist(['dom0', 'domU']),
  pages: whole(5),
  holes: v.optional(text(1000)),
  moves: v.optional(v.string()),
  source: v.optional(text(4096)),
})

const SPEC = v.strictObject({
  space: SEARCH_SPACE,
  seed: whole(2 ** 32 - 1),
  walks: whole(1e9),
  length: whole(100_000),
})

function walksOf(spec: WalksSpec, piece: number): v.GenericSchema {
  const { count } = walkTask(spec, piece)
  const { length } = moves(spec.space)
  const finding = v.pipe(
    v.strictObject({
      property: text(100),
      says: text(10_000),
      holes: v.array(text(10)),
      sequence: v.pipe(v.array(whole(length - 1)), v.maxLength(spec.length)),
    }),
    v.check((found) => breaks(spec.space, found), 'a sequence that breaks nothing of the kind'),
  )
  return v.strictObject({
    findings: v.pipe(v.array(finding), v.maxLength(count)),
    steps: whole(count * spec.length),
  })
}

function moves(space: Space): readonly unknown[] {
  return walkerOf(space).moves.lines
}

/** Whether a sequence breaks what a finding says, with the holes that it says: it is carried out here. */
function breaks(space: Space, { property, says, holes, sequence }: Finding): boolean {
  const walker = walkerOf(space)
  if (!holes.every((hole) => walker.machine.open.includes(hole))) return false
  const broken = brokenBy(walker, sequence, holes)
  walker.machine.openHoles(walker.machine.open)
  return broken?.property === property && broken.says === says
}

export const border: Border = {
  spec: SPEC,
  pieces: (spec: WalksSpec) => walksJob(spec).pieces,
  result: walksOf,
}
