import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * What `npm test` runs: every test file, two at a time, and at the end which files took longest. `npm test -- cli maps` runs the files whose names hold one of
 * the words; words with a dash are handed to Node's test runner.
 */
const folder = fileURLToPath(new URL('.', import.meta.url))
const words = process.argv.slice(2)
const wanted = words.filter((word) => !word.startsWith('-'))
const passedOn = words.filter((word) => word.startsWith('-'))
/** As Node reports by itself, and what took how long. Whoever names a reporter gets that one alone. */
const reporters = ['spec', `${folder}tools/slowest.ts`].flatMap((name) => [
  `--test-reporter=${name}`,
  '--test-reporter-destination=stdout',
])
const ownReporters = passedOn.some((word) => word.startsWith('--test-reporter')) ? [] : reporters

const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)))
  .sort()

if (files.length === 0) {
  console.error(`no test file has a name with ${wanted.join(' or ')}`)
  process.exitCode = 1
} else {
  const paths = files.map((file) => `${folder}${file}`)
  const run = spawnSync(
    process.execPath,
    ['--test', '--test-concurrency=2', ...ownReporters, ...passedOn, ...paths],
    {
      stdio: 'inherit',
      // Every file is a process of its own, which would strip the types of all that it imports.
      env: {
        NODE_COMPILE_CACHE: fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url)),
        // Who names files wants all that is in them: tools/tools.ts.
        ...(wanted.length > 0 ? { XENOLITH_NAMED: 'true' } : {}),
        ...process.env,
      },
    },
  )
  process.exitCode = run.status ?? 1
}
