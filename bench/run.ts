import { readdirSync } from 'node:fs'
import { BadInput, nearest } from '../src/bits/bad-input.ts'
import { type Bench, machineInfo } from './measure.ts'

/**
 * What `npm run bench` runs: the benches that are named, or all of them. `--json` prints one JSON document a line, one
 * line a bench: {"name", "machine": {"cpu", "cores", "node"}, "figures": {key: number}}. How it goes is told on standard
 * error either way. The unit of a figure is the end of its key.
 */
const NO_BENCHES = ['run', 'measure']
const folder = new URL('./', import.meta.url)
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
  .filter((name) => !NO_BENCHES.includes(name))
  .sort()

const words = process.argv.slice(2)
const json = words.includes('--json')
const wanted = words.filter((word) => word !== '--json')
const wrong = wanted.find((word) => !names.includes(word))

if (wrong !== undefined) {
  const near = nearest(wrong, wrong.startsWith('-') ? ['--json'] : names)
  const hint = near ? `did you mean ${near}?` : `there are ${names.join(', ')}`
  console.error(`bench: no ${wrong.startsWith('-') ? 'option' : 'bench'} "${wrong}": ${hint}`)
  process.exitCode = 2
} else {
  for (const name of wanted.length > 0 ? new Set(wanted) : names) await measureOrSay(name)
}

/** What a bench needs and is not here, as a download, is one line; the other benches go on. */
async function measureOrSay(name: string): Promise<void> {
  try {
    await measure(name)
  } catch (error) {
    if (!(error instanceof BadInput)) throw error
    console.error(`bench: ${name}: ${error.message}`)
    process.exitCode = 2
  }
}

async function measure(name: string): Promise<void> {
  const bench: Bench = await import(new URL(`${name}.ts`, folder).href)
  const machine = machineInfo()
  const figures = await bench.run((line) => console.error(`${name}: ${line}`))
  if (json) {
    console.log(JSON.stringify({ name: bench.name, machine, figures }))
    return
  }
  console.log(`${bench.name}: ${bench.about}`)
  console.log(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`)
  const width = Math.max(...Object.keys(figures).map((key) => key.length))
  for (const [key, value] of Object.entries(figures)) {
    console.log(`  ${key.padEnd(width)}  ${String(value).padStart(8)} ${unitOf(key)}`.trimEnd())
  }
}

function unitOf(key: string): string {
  const units: [RegExp, string][] = [
    [/_ms$/, 'ms'],
    [/_ns$|^ns_per_/, 'ns'],
    [/_mib$/, 'MiB'],
    [/_kb$/, 'kB'],
    [/_per_s$/, '/s'],
    [/_ratio$/, 'times'],
  ]
  return units.find(([pattern]) => pattern.test(key))?.[1] ?? ''
}
