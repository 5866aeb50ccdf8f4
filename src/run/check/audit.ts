import { RunningCount } from '../../audit/running-count.ts'
import type { Miscount } from '../../audit/tally.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { runScript, type ScriptOptions, type ScriptResult } from '../script/script.ts'
import { brokenPropertiesOf } from './properties.ts'
import { holdersOf, recountMachine } from './recount.ts'

/** Operations between two whole counts of a long run. */
export const WHOLE_EVERY = 1000

/** An operation after which the machine is not as it must be. */
export type AuditFinding = {
  /** How many operations there were, this one included. */
  readonly n: number
  readonly op: string
  /** What is wrong, a sentence each. */
  readonly wrong: readonly string[]
}

/** Everything that is wrong with a machine: counts and types that differ from the tables, and broken safety. */
export function auditMachine(xen: Hypervisor): string[] {
  return [
    ...recountMachine(xen).map(inWords),
    ...brokenPropertiesOf(xen).map(({ property, says }) => `${property}: ${says}`),
  ]
}

function inWords({ mfn, what, counted, recorded }: Miscount): string {
  return `count: frame ${mfn.toString(16)} has ${what} ${recorded}, its holders make it ${counted}`
}

/**
 * Looks at a machine after every operation of a long run: what has changed is counted at once, everything every
 * WHOLE_EVERY operations. The machine's sink stays as it is and is listened to.
 */
export class Audit {
  private readonly xen: Hypervisor
  private running: RunningCount
  private readonly types = new Set<number>()
  private n = 0
  /** How many operations there were when everything was last counted and right. */
  wholeAt = 0

  constructor(xen: Hypervisor) {
    this.xen = xen
    this.running = new RunningCount(xen.memory, holdersOf(xen))
    const { sink } = xen
    xen.sink = (event) => {
      sink?.(event)
      if (event.kind === 'type') this.types.add(event.mfn)
    }
  }

  /** Whether all is well after one more operation, as far as this look goes. */
  isWell(): boolean {
    this.n++
    const wrong = this.running.compare(holdersOf(this.xen), this.types)
    this.types.clear()
    if (wrong.length > 0) {
      // An entry may be counted as another type than it was when it came: everything counted again decides.
      if (recountMachine(this.xen).length > 0) return false
      this.running = new RunningCount(this.xen.memory, holdersOf(this.xen))
    }
    return this.n % WHOLE_EVERY !== 0 || this.isWholeWell()
  }

  /** Whether all is well, everything looked at: what a run ends with. */
  isWholeWell(): boolean {
    if (auditMachine(this.xen).length > 0) return false
    this.wholeAt = this.n
    return true
  }
}

/**
 * Run a script under the audit: the first operation after which something is wrong, or null. Where the running count finds a
 * difference, or the whole one after it, the operations since the last whole count are run again and everything is counted
 * after each.
 */
export function auditScript(
  text: string,
  options: Omit<ScriptOptions, 'sink'> = {},
): { readonly result: ScriptResult; readonly finding: AuditFinding | null } {
  let audit: Audit | null = null
  let [n, wrongAt] = [0, 0]
  const result = runScript(text, {
    ...options,
    ready(xen) {
      options.ready?.(xen)
      audit = new Audit(xen)
    },
    after(xen, line) {
      options.after?.(xen, line)
      n++
      if (wrongAt === 0 && audit?.isWell() === false) wrongAt = n
    },
  })
  if (wrongAt === 0 && audit !== null && !(audit as Audit).isWholeWell()) wrongAt = n
  if (wrongAt === 0) return { result, finding: null }
  return { result, finding: exactly(text, options, (audit as unknown as Audit).wholeAt, wrongAt) }
}

/** The first operation after `from` of them, and not after `to`, after which everything counted shows something wrong. */
function exactly(text: string, options: ScriptOptions, from: number, to: number): AuditFinding | null {
  let finding: AuditFinding | null = null
  let n = 0
  runScript(text, {
    ...options,
    after(xen, line) {
      options.after?.(xen, line)
      n++
      if (finding !== null || n <= from || n > to) return
      const wrong = auditMachine(xen)
      if (wrong.length > 0) finding = { n, op: line.op, wrong }
    },
  })
  return finding
}
