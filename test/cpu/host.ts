import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { missing, needs } from '../tools/tools.ts'
import type { CpuCase, CpuResult } from './case.ts'
import { readResult, recordBytes, writeCase } from './record.ts'

const SOURCE = fileURLToPath(new URL('native/harness.c', import.meta.url))

/** Why this machine's processor cannot judge, or false when it can. Under CI a missing compiler is an error. */
export function hostUnfit(): string | false {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return 'the processor here is no x86-64 under Linux'
  return needs('gcc')
}

/** The processor that the tests run on, through a harness that is compiled on the spot. */
export class Host {
  private readonly folder = mkdtempSync(join(tmpdir(), 'xenolith-cpu-'))
  private readonly harness = join(this.folder, 'harness')
  private readonly options: string[]

  /** @param audit look after each case whether it left memory alone that it does not own, which is slower */
  constructor(audit = false) {
    this.options = audit ? ['--audit'] : []
    const built = spawnSync('gcc', ['-O2', '-fno-stack-protector', '-o', this.harness, SOURCE], {
      encoding: 'utf8',
    })
    if (built.status !== 0) throw new Error(missing(`the harness does not compile: ${built.stderr}`))
  }

  /** Run cases, each by itself, and give their results in the same order. */
  run(cases: readonly CpuCase[]): CpuResult[] {
    const view = this.runRecords(cases)
    const results: CpuResult[] = []
    let at = 0
    for (const one of cases) {
      results.push(readResult(view, at))
      at += recordBytes(one)
    }
    return results
  }

  /** The same, the results as the harness writes them. */
  runRecords(cases: readonly CpuCase[]): DataView {
    const input = new Uint8Array(cases.reduce((sum, one) => sum + recordBytes(one), 0))
    const view = new DataView(input.buffer)
    let at = 0
    for (const [number, one] of cases.entries()) at = writeCase(one, number, view, at)
    const ran = spawnSync(this.harness, this.options, { input, maxBuffer: input.length + 65536 })
    if (ran.status !== 0 || ran.stdout.length !== input.length) {
      const number = /case (\d+)/.exec(String(ran.stderr))?.[1]
      const form = number === undefined ? '' : ` (${cases[Number(number)].form})`
      throw new Error(`the harness ended with ${ran.status ?? ran.signal}: ${ran.stderr}${form}`)
    }
    return new DataView(ran.stdout.buffer, ran.stdout.byteOffset, ran.stdout.byteLength)
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
