import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { bootXen } from '../oracle/boot.ts'
import { builtGuest, findTools, missingTool } from '../oracle/tools.ts'
import { bootProbe } from '../src/run/probe-boot.ts'
import { missing } from './tools.ts'

const absent = missingTool()
const BUDGET = 3e8

/**
 * A kernel that makes some three hundred hypercalls and privileged instructions, on real Xen and here: event channels, timers, vCPU
 * records, grant tables, versions, MSRs, control and debug registers, selectors. It prints what came of each.
 */
test('hypercalls and privileged instructions come to what they do on real Xen', {
  skip: absent !== null && missing(absent),
}, async () => {
  const image = builtGuest('calls')
  const theirs = await bootXen({ ...findTools(), probe: image }, '', { domain: 'dom0' })
  const options = { xen: '4.17-release', domain: 'dom0', frames: null, budget: BUDGET } as const
  const ours = bootProbe(readFileSync(image), '', options)
  const said = (lines: readonly string[]): string[] => lines.filter((line) => line.startsWith('@'))
  assert.deepEqual([ours.end, theirs.end], ['end', 'end'])
  assert.deepEqual(said(ours.lines), said(theirs.lines))
  assert.ok(said(ours.lines).length > 300)
})
