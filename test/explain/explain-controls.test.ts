import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { explained, firstClass } from '../tools/explain-tools.ts'
import { root } from '../tools/tools.ts'

/**
 * Logs of which none has a refusal in it, newly written in the style of the real thing. The start of a name says what
 * wrote it: `native`, `other`, `xen` (a host or its guests, healthy), `guest` (an oops under Xen PV), `host`, `tools`.
 */
const folder = `${root}test/fixtures/controls/`
const controls = readdirSync(folder).sort()

/** What a log without a page-type problem may be called. */
const HARMLESS = ['none', 'not-mmu', 'guest-only-evidence', 'e820-conflict-fixed']

test('there are enough controls', () => {
  assert.ok(controls.length >= 45, `${controls.length} controls`)
})

test('no control is said to have a page-type problem', () => {
  const wrong: string[] = []
  for (const file of controls) {
    const report = explained(readFileSync(folder + file, 'utf8'), file)
    const first = firstClass(report)
    if (!HARMLESS.includes(first)) wrong.push(`${file}: ${first}, "${report.causes[0]?.title}"`)
  }
  assert.equal(wrong.length, 0, `${wrong.length} of ${controls.length}:\n${wrong.join('\n')}\n`)
})

test('logs of native kernels and of other software have no evidence of Xen', () => {
  const wrong: string[] = []
  for (const file of controls.filter((name) => /^(native|other)-/.test(name))) {
    const { verdict } = explained(readFileSync(folder + file, 'utf8'), file)
    if (verdict !== 'no-xen-evidence') wrong.push(`${file}: ${verdict}`)
  }
  assert.equal(wrong.length, 0, `${wrong.join('\n')}\n`)
})
