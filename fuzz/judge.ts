import { BadInput } from '../src/bits/bad-input.ts'
import { secondsOf, type Target, Wrong } from './target.ts'

/** What came of an input. Two findings of one `signature` are taken for the same fault. */
export type Verdict =
  | { readonly isFine: true; readonly outcome: string }
  | { readonly isFine: false; readonly signature: string; readonly message: string; readonly stack: string }

/** The signature of an input that comes to no end. */
export const HANGS = 'hangs'
/** The signature of an input that takes longer than it may. */
export const SLOW = 'too slow'
/** The signature of an input in which the process has more memory than it may. */
export const TAKES_MEMORY = 'takes memory'

/**
 * Run an input. Fine is a result, and bad input that says so in one line; all else is a finding.
 *
 * @param twice run it again: the second outcome must be the first one
 */
export async function judge(target: Target, input: Uint8Array, twice: boolean): Promise<Verdict> {
  const first = await outcomeOf(target, input)
  if (!first.isFine || !twice) return first
  const second = await outcomeOf(target, input)
  if (!second.isFine || second.outcome === first.outcome) return second
  return finding('not repeatable', `came to "${first.outcome}", and then to "${second.outcome}"`)
}

async function outcomeOf(target: Target, input: Uint8Array): Promise<Verdict> {
  const before = process.cpuUsage()
  let verdict: Verdict
  try {
    verdict = { isFine: true, outcome: await target.run(input) }
  } catch (error) {
    verdict = thrown(error)
  }
  const { user, system } = process.cpuUsage(before)
  const seconds = (user + system) / 1e6
  if (verdict.isFine && seconds > secondsOf(target)) {
    return finding(SLOW, `took ${seconds.toFixed(1)} s of processor time`)
  }
  return verdict
}

function thrown(error: unknown): Verdict {
  if (error instanceof BadInput) {
    if (!/[\n\r]/.test(error.message)) return { isFine: true, outcome: `bad input: ${error.message}` }
    return finding('bad input of several lines', error.message, error.stack)
  }
  if (error instanceof Wrong) return finding(error.kind, error.message, error.stack)
  if (!(error instanceof Error)) return finding('thrown', String(error))
  const place = placeOf(error.stack ?? '')
  return finding(`${error.name} in ${place}`, `${error.name}: ${error.message}`, error.stack)
}

export function finding(signature: string, message: string, stack = ''): Verdict {
  return { isFine: false, signature, message, stack }
}

/** The innermost function of ours in a stack. */
function placeOf(stack: string): string {
  const frame = stack.split('\n').find((line) => /\/src\/|\/web\/src\//.test(line))
  const match =
    /at (?:async )?(\S+) .*\/(src\/[^:]+):/.exec(frame ?? '') ?? /()(src\/[^:]+):/.exec(frame ?? '')
  return match === null ? 'nowhere known' : `${match[1]} (${match[2]})`
}
