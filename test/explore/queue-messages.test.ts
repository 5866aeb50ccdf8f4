import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runPiece } from '../../src/explore/jobs/job.ts'
import { codeDigest, jobId } from '../../src/explore/queue/code.ts'
import { checkSpec, decodeResult, encodeResult, type KnownJob } from '../../src/explore/queue/messages.ts'
import { newWorker } from '../../src/explore/queue/seal.ts'
import { verifyShare } from '../../src/explore/queue/through-queue.ts'
import { walksJob } from '../../src/explore/search/walk-piece.ts'
import type { WalkResult } from '../../src/explore/search/worker.ts'

const WALKS = walksJob({
  space: { xen: '4.17', domain: 'dom0', pages: 2, holes: '182' },
  seed: 1,
  walks: 100,
  length: 30,
})

function known(job: typeof WALKS): KnownJob {
  const code = codeDigest()
  return { id: jobId(job, code), job: { ...job, code, key: '12'.repeat(32) } }
}

test('what random walks are said to have found is carried out again before it is believed', async () => {
  const job = known(WALKS)
  const says = async (result: unknown): Promise<string | undefined> => {
    const message = encodeResult(job, newWorker('x'), { piece: 0, result }, 2 ** 20)
    const outcome = await decodeResult(job, 0, message)
    return 'refused' in outcome ? outcome.refused : undefined
  }
  const right = (await runPiece({ ...WALKS, piece: 0 })) as WalkResult
  const [finding] = right.findings
  assert.equal(await says(right), undefined)
  const shorter = { ...finding, sequence: finding.sequence.slice(0, 1) }
  assert.match((await says({ ...right, findings: [shorter] }))!, /breaks nothing of the kind/)
  assert.match(
    (await says({ ...right, findings: [{ ...finding, holes: [] }] }))!,
    /breaks nothing of the kind/,
  )
  const property = { ...finding, property: 'foreign-writable' }
  assert.match((await says({ ...right, findings: [property] }))!, /breaks nothing of the kind/)
  assert.match((await says({ ...right, findings: [{ ...finding, sequence: [1e9] }] }))!, /sequence/)
  assert.match((await says({ ...right, steps: -1 }))!, /steps/)
  assert.match((await says([]))!, /findings: it is missing/)
})

test('a job whose pieces are too many, or whose spec is out of all bounds, is refused', async () => {
  const { spec } = WALKS as { spec: object }
  await checkSpec(known(WALKS))
  await assert.rejects(checkSpec(known({ ...WALKS, pieces: 5 })), /it has 4 pieces, and says 5/)
  await assert.rejects(checkSpec(known({ ...WALKS, spec: { ...spec, length: 1e15 } })), /spec, length/)
  await assert.rejects(checkSpec(known({ ...WALKS, kind: 'constructor' })), /is no kind of job/)
})

test('a result that no message can hold is told as an error', async () => {
  const job = known(WALKS)
  const message = encodeResult(job, newWorker('x'), { piece: 1, result: 'x'.repeat(5000) }, 1000)
  const outcome = await decodeResult(job, 1, message)
  assert.ok('error' in outcome)
  assert.match(outcome.error, /its result has \d+ bytes, and 1000 is what a message may have/)
})

test('a share is a number or a percentage', () => {
  assert.deepEqual(['0', '1', '0.25', '5%', '100%', undefined].map(verifyShare), [0, 1, 0.25, 0.05, 1, 0.05])
  for (const text of ['2', '-1', '101%', 'all', '', '1e3'])
    assert.throws(() => verifyShare(text), /--verify .* is no share/)
})
