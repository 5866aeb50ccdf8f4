import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { agreeWith, asReleaseBuild } from '../src/run/script/agree.ts'
import { parseRecording } from '../src/run/script/script.ts'
import { type RecordedFile, recordings } from './tools/recordings.ts'

/**
 * `npm run agree -- DIR…`: runs every recording of real Xen (`.jsonl`) in the folders, and in those below them, on the
 * version of the machine that its header names, and compares; without a folder, those that travel with the repository. One
 * line a difference; `--verbs` adds a table by verb, `--exempt` the exempt ones too;
 * `--release` judges the release build by recordings that tell of both builds. The last line counts. Exit 0 only when
 * nothing but exempt differences is left; 2 when there is nothing to compare.
 */
const words = process.argv.slice(2)
const flags = new Set(words.filter((word) => word.startsWith('--')))

/** The recordings in a folder or below it, in order; a single recording is itself. */
function recordingsIn(path: string): RecordedFile[] {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) refuse(`${path}: no such folder; name one with recordings (.jsonl)`)
  const files = found.isDirectory()
    ? readdirSync(path, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.jsonl'))
        .map((file) => join(path, file))
    : [path]
  if (files.length === 0)
    refuse(`${path}: no recordings (.jsonl) in this folder or below it; name one that has some`)
  return files.sort().map((file) => ({ path: file, text: readFileSync(file, 'utf8') }))
}

function refuse(why: string): never {
  console.error(`agree: ${why}`)
  process.exit(2)
}

function read({ path, text }: RecordedFile) {
  try {
    return parseRecording(text, path)
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

for (const flag of flags) {
  if (!['--verbs', '--exempt', '--release'].includes(flag)) {
    refuse(`${flag}: no such option; there are --verbs, --exempt and --release`)
  }
}
/** The recordings that travel along: of 4.17, 4.14 and 4.20. */
const SETS = ['oracle', 'oracle-4.14', 'oracle-4.20']
const folders = words.filter((word) => !word.startsWith('--'))
const files = folders.length === 0 ? SETS.flatMap((set) => recordings(set)) : folders.flatMap(recordingsIn)

const verbs = new Map<string, { compared: number; agree: number; exempt: number }>()
const rules = new Map<string, number>()
let [compared, exempt, different] = [0, 0, 0]

for (const file of files) {
  const { path } = file
  const recording = read(file)
  const agreement = agreeWith(flags.has('--release') ? asReleaseBuild(recording) : recording)
  compared += agreement.compared
  for (const [verb, count] of agreement.byVerb) {
    const sum = verbs.get(verb) ?? { compared: 0, agree: 0, exempt: 0 }
    for (const key of ['compared', 'agree', 'exempt'] as const) sum[key] += count[key]
    verbs.set(verb, sum)
  }
  for (const { n, op, ours, xens, exempt: rule } of agreement.differences) {
    if (rule === null) different++
    else {
      exempt++
      rules.set(rule, (rules.get(rule) ?? 0) + 1)
      if (!flags.has('--exempt')) continue
    }
    const why = rule === null ? '' : ` (exempt: ${rule})`
    console.log(`${path}:${n}: ${op}${why} | ours: ${ours} | Xen: ${xens}`)
  }
}

if (flags.has('--verbs')) {
  for (const [verb, count] of [...verbs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`${verb} ${count.compared} ${count.agree} ${count.exempt}`)
  }
}
for (const [rule, count] of rules) console.log(`exempt by "${rule}": ${count}`)
console.log(`${compared} operations compared, ${compared - exempt - different} agree, ${exempt} exempt`)
process.exitCode = different === 0 ? 0 : 1
