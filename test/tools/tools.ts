import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The clone's folder, with a slash at its end. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * The `skip` of a test that needs a tool: false when the tool is there, else the reason. Under CI every tool has to be
 * there, so that nothing is skipped unseen: the missing one is an error.
 */
export function needs(tool: string): string | false {
  const found = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', tool]).status === 0
  return found ? false : missing(`${tool} is not installed`)
}

/**
 * Real Xen, real packages, servers and a browser take minutes: they are tried under CI, and when somebody names a test file. False
 * when they are, else the reason to skip.
 */
export const notAsked: string | false =
  process.env.CI === 'true' || process.env.XENOLITH_NAMED === 'true'
    ? false
    : 'takes long: CI=true runs it, and so does naming its file, as in npm test -- page'

/** The reason to skip; under CI an error. */
export function missing(reason: string): string {
  if (process.env.CI === 'true') throw new Error(`${reason}, and under CI no test may be skipped`)
  return reason
}

/** Runs `xenolith` as a user does, through its bin, into pipes. */
export function xenolith(words: readonly string[], env: Record<string, string> = {}, input = '') {
  const { NO_COLOR, FORCE_COLOR, NODE_OPTIONS, NODE_TEST_CONTEXT, ...rest } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}bin/xenolith.js`, ...words], {
    encoding: 'utf8',
    env: { ...rest, ...env },
    input,
  })
  return { status, stdout, stderr }
}
