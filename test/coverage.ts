import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * `npm run coverage`: which lines of `src/` the tests execute, room by room. Lines are those with code in them: types, comments
 * and brackets alone are none. Code that the interpreter makes for itself, in WebAssembly, is not seen: it is the semantics that
 * it is made from that are counted. `npm run coverage -- cli maps` runs the test files whose names hold one of the words;
 * `--files` tells of every file.
 */
const root = fileURLToPath(new URL('../', import.meta.url))
const words = process.argv.slice(2)
const wanted = words.filter((word) => !word.startsWith('-'))
const tellsFiles = words.includes('--files')

const tests = filesIn('test', '.test.ts').filter(
  (file) => wanted.length === 0 || wanted.some((word) => file.includes(word)),
)
const folder = mkdtempSync(join(tmpdir(), 'xenolith-coverage-'))
const lcov = join(folder, 'lcov.info')
try {
  // Code that comes out of a cache is seen less exactly.
  const { NODE_COMPILE_CACHE, ...env } = process.env
  const run = spawnSync(
    process.execPath,
    [
      '--test',
      '--test-concurrency=2',
      '--experimental-test-coverage',
      '--test-coverage-include=src/**',
      '--test-reporter=dot',
      '--test-reporter-destination=stderr',
      '--test-reporter=lcov',
      `--test-reporter-destination=${lcov}`,
      ...tests,
    ],
    { cwd: root, stdio: 'inherit', env: { ...env, NODE_DISABLE_COMPILE_CACHE: '1' } },
  )
  tell(coveredLines(readFileSync(lcov, 'utf8')))
  process.exitCode = run.status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function filesIn(where: string, ending: string): string[] {
  return readdirSync(join(root, where), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending) && !file.endsWith('.d.ts'))
    .map((file) => `${where}/${file}`)
    .sort()
}

/** By file, the numbers of lines that were executed, and of those that were not. */
function coveredLines(text: string): Map<string, Map<number, boolean>> {
  const files = new Map<string, Map<number, boolean>>()
  let lines = new Map<number, boolean>()
  for (const line of text.split('\n')) {
    if (line.startsWith('SF:')) {
      lines = new Map()
      files.set(line.slice(3), lines)
    } else if (line.startsWith('DA:')) {
      const [number, count] = line.slice(3).split(',').map(Number)
      lines.set(number, count > 0)
    }
  }
  return files
}

function tell(covered: Map<string, Map<number, boolean>>): void {
  const rooms = new Map<string, { lines: number; hit: number }>()
  const all = { lines: 0, hit: 0 }
  for (const file of filesIn('src', '.ts')) {
    const lines = covered.get(file)
    const numbers = codeLines(readFileSync(join(root, file), 'utf8'))
    const hit = numbers.filter((number) => lines?.get(number) === true).length
    const room = rooms.get(roomOf(file)) ?? { lines: 0, hit: 0 }
    rooms.set(roomOf(file), { lines: room.lines + numbers.length, hit: room.hit + hit })
    all.lines += numbers.length
    all.hit += hit
    if (tellsFiles) console.log(row(file, numbers.length, hit))
  }
  for (const [room, { lines, hit }] of rooms) console.log(row(room, lines, hit))
  console.log(row('all', all.lines, all.hit))
}

function roomOf(file: string): string {
  const [, room, ...rest] = file.split('/')
  return rest.length === 0 ? 'src' : `src/${room}`
}

function row(name: string, lines: number, hit: number): string {
  const share = lines === 0 ? 100 : (hit * 100) / lines
  return `${name.padEnd(52)} ${String(lines).padStart(6)} lines ${share.toFixed(1).padStart(6)} %`
}

/** Numbers of the lines with code in them. */
function codeLines(source: string): number[] {
  const numbers: number[] = []
  let inComment = false
  for (const [i, line] of stripTypeScriptTypes(source).split('\n').entries()) {
    const text = line.trim()
    const begins = text.startsWith('/*')
    if (!inComment && !begins && !text.startsWith('//') && /[^\s()[\]{};,]/.test(text)) numbers.push(i + 1)
    if (begins) inComment = true
    if (text.endsWith('*/')) inComment = false
  }
  return numbers
}
