import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateCases } from './cases/generate.ts'
import { type DecoderVerdict, sweep } from './iced.ts'
import { busyboxCode, type Code, kernelCode } from './real-code.ts'

/** Of each section; the kernel's .text alone has four million. */
const INSTRUCTIONS = 400_000

function sweepAll(sections: readonly Code[]): DecoderVerdict {
  const verdict: DecoderVerdict = { instructions: 0, foreign: 0, differing: 0, examples: [] }
  for (const section of sections) sweep(section, verdict, INSTRUCTIONS)
  return verdict
}

function decodesLikeIced(what: string, code: Code[] | { readonly reason: string }, least: number): void {
  const skip = Array.isArray(code) ? false : code.reason
  test(`the decoder reads ${what} as iced-x86 does`, { skip }, () => {
    const { instructions, differing, examples } = sweepAll(code as Code[])
    assert.equal(differing, 0, examples.join('\n'))
    assert.ok(instructions >= least, `only ${instructions} instructions`)
  })
}

decodesLikeIced("Debian's kernel", kernelCode(), 500_000)
decodesLikeIced("Debian's static busybox", busyboxCode(), 300_000)

test('a sweep notices an instruction that only one of the decoders has, and counts foreign ones', () => {
  // nop, monitor, nop of an odd kind, vzeroupper.
  const bytes = Uint8Array.from([0x90, 0x0f, 0x01, 0xc8, 0xf3, 0x90, 0xc5, 0xf8, 0x77])
  const verdict = sweepAll([{ name: 'test', address: 0n, bytes }])
  assert.deepEqual([verdict.instructions, verdict.differing, verdict.foreign], [4, 0, 2])
})

test('the decoder reads every form that the cases are made of as iced-x86 does', () => {
  const verdict: DecoderVerdict = { instructions: 0, foreign: 0, differing: 0, examples: [] }
  for (const { code } of generateCases(3, 0, 60_000))
    sweep({ name: 'case', address: 0x1000_0000n, bytes: code }, verdict, 1)
  assert.equal(verdict.differing, 0, verdict.examples.join('\n'))
  assert.equal(verdict.instructions, 60_000)
})
