import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import type { CpuCase, CpuResult } from './case.ts'
import { generateCases } from './cases/generate.ts'
import { Host } from './host.ts'
import { RECORD, readResult, recordBytes, writeCase } from './record.ts'

/**
 * Results of a real processor, for machines that have another one: `node test/cpu/recorded.ts` writes them anew. The cases are not
 * in the file, only their seed, their number and a hash; a result is kept as what differs from its case.
 */
export const RECORDED = new URL('../data/cpu-results.br', import.meta.url)
const SEED = 1971
const CASES = 12_000

type Head = { readonly seed: number; readonly cases: number; readonly sha256: string }

/** The records of cases, one behind the other. */
function records(cases: readonly CpuCase[]): DataView {
  const view = new DataView(new ArrayBuffer(cases.reduce((sum, one) => sum + recordBytes(one), 0)))
  let at = 0
  for (const [number, one] of cases.entries()) at = writeCase(one, number, view, at)
  return view
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

/** Where the last instruction and operand of x87 were, and what bits MXCSR has: no two processors agree. */
const NOT_KEPT = RECORD.filter(({ name }) => ['fop', 'fip', 'fdp', 'mxcsr_mask'].includes(name))

/** Run the cases on this machine's processor and keep what it says. */
export function record(): Uint8Array {
  const cases = [...generateCases(SEED, 0, CASES)]
  const host = new Host()
  const before = bytesOf(records(cases))
  const after = bytesOf(host.runRecords(cases))
  host.close()
  const difference = before.map((byte, i) => byte ^ after[i])
  let start = 0
  for (const one of cases) {
    for (const { at, bytes } of NOT_KEPT) difference.fill(0, start + at, start + at + bytes)
    start += recordBytes(one)
  }
  const sha256 = createHash('sha256').update(before).digest('hex')
  const head = Buffer.from(`${JSON.stringify({ seed: SEED, cases: CASES, sha256 } satisfies Head)}\n`)
  return brotliCompressSync(Buffer.concat([head, difference]), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
  })
}

/** The recorded cases and their results. Throws when the generator makes other cases today. */
export function recordedResults(): { cases: CpuCase[]; results: CpuResult[] } {
  const file = brotliDecompressSync(readFileSync(RECORDED))
  const line = file.indexOf('\n')
  const head = JSON.parse(file.toString('utf8', 0, line)) as Head
  const cases = [...generateCases(head.seed, 0, head.cases)]
  const view = records(cases)
  const bytes = bytesOf(view)
  if (createHash('sha256').update(bytes).digest('hex') !== head.sha256) {
    throw new Error('the recording is of other cases: write it anew with node test/cpu/recorded.ts')
  }
  for (let i = 0; i < bytes.length; i++) bytes[i] ^= file[line + 1 + i]
  let at = 0
  const results = cases.map((one) => {
    const result = readResult(view, at)
    at += recordBytes(one)
    return result
  })
  return { cases, results }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(RECORDED, record())
