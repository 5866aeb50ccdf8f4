import type { Walker } from './space.ts'

/** A sequence of moves that breaks a property. */
export type Finding = {
  readonly property: string
  /** What is wrong, in a sentence. */
  readonly says: string
  /** Holes that the sequence needs, as few as will do; none when the mended rules let it through. */
  readonly holes: readonly string[]
  /** Numbers of the moves. */
  readonly sequence: readonly number[]
}

/** Findings of one signature are one finding. */
export function signatureOf({ property, holes }: Finding): string {
  return `${property} ${holes.join()}`
}

/** The property that a sequence breaks with these holes open, at its last move or before; null when it breaks none. */
export function brokenBy(
  { machine, moves }: Walker,
  sequence: readonly number[],
  holes: readonly string[],
): Pick<Finding, 'property' | 'says'> | null {
  machine.openHoles(holes)
  machine.reset()
  for (const move of sequence) {
    if (!machine.move(moves.lines[move])) return null
    const [broken] = machine.broken()
    if (broken !== undefined) return { property: broken.property, says: broken.says }
  }
  return null
}

/**
 * What a sequence that breaks a property needs: holes are closed one after another as long as the same property breaks.
 * The machine is left with the space's own holes open.
 */
export function findingOf(walker: Walker, sequence: readonly number[]): Finding | null {
  const { machine } = walker
  const broken = brokenBy(walker, sequence, machine.open)
  if (broken === null) return null
  let holes = machine.open
  for (const hole of machine.open) {
    const fewer = holes.filter((name) => name !== hole)
    if (brokenBy(walker, sequence, fewer)?.property === broken.property) holes = fewer
  }
  machine.openHoles(machine.open)
  return { ...broken, holes, sequence }
}

/**
 * The same finding with as few moves as will do: moves are left out, long runs of them first, as long as the same property
 * breaks with the same holes.
 */
export function shrink(walker: Walker, finding: Finding): Finding {
  const { machine } = walker
  const breaks = (sequence: readonly number[]): boolean =>
    brokenBy(walker, sequence, finding.holes)?.property === finding.property
  let sequence = [...finding.sequence]
  for (let size = Math.ceil(sequence.length / 2); size >= 1; ) {
    let isShorter = false
    for (let at = sequence.length - size; at >= 0; at--) {
      const fewer = sequence.toSpliced(at, size)
      if (!breaks(fewer)) continue
      sequence = fewer
      isShorter = true
      at = Math.min(at, sequence.length - size + 1)
    }
    if (size === 1 && !isShorter) break
    size = isShorter && size === 1 ? 1 : Math.max(1, Math.floor(size / 2))
  }
  const broken = brokenBy(walker, sequence, finding.holes)
  machine.openHoles(machine.open)
  return { ...finding, ...(broken ?? {}), sequence }
}
