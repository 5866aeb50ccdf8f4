import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { kernelCode, speaking, tinyKernel } from '../test/tools/tiny-kernel.ts'
import { interleaved, median, spread } from './measure.ts'

/** The start of the program and of a machine: a kernel that needs no unpacking says a word as soon as it runs. */
export const name = 'start'
export const about =
  'milliseconds until a real kernel’s first instructions, without its unpacking; half a minute'

const ROUNDS = 15
const WORD = 'hello\n'

type Case = { readonly key: string; readonly words: readonly string[] }

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-start-'))
  try {
    const kernel = join(folder, 'kernel')
    writeFileSync(kernel, tinyKernel(kernelCode(speaking(WORD, 0))))
    const boot = [fileURLToPath(new URL('../bin/xenolith.js', import.meta.url)), 'boot', '--kernel', kernel]
    const cases: readonly Case[] = [
      { key: 'start_512mib_ms', words: [...boot, '--memory', '512M'] },
      { key: 'start_4gib_ms', words: [...boot, '--memory', '4G'] },
      // What of it is Node's own.
      { key: 'node_ms', words: ['-e', `console.log(${JSON.stringify(WORD)})`] },
    ]
    const samples = await interleaved(cases, ROUNDS, ({ words }) => untilWord(words))
    return Object.fromEntries(
      cases.map(({ key }) => {
        const times = samples.get(key)!
        report(`${key}: ${spread(times)}`)
        return [key, Math.round(median(times))]
      }),
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Milliseconds from the start of a process of Node's until it has written the word. */
async function untilWord(words: readonly string[]): Promise<number> {
  const start = performance.now()
  let said = 0
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  child.stdout.setEncoding('latin1').on('data', (part: string) => {
    text += part
    if (said === 0 && text.includes(WORD.trim())) said = performance.now() - start
  })
  await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (said === 0) throw new Error(`${words.join(' ')} did not say ${WORD.trim()}: ${text}`)
  return said
}
