import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { bootXen } from '../../oracle/boot.ts'
import { builtGuest, findTools, PACKAGED_XENS } from '../../oracle/tools.ts'
import { bootProbe } from '../../src/run/script/probe-boot.ts'
import { skipOf } from '../tools/real-xen.ts'

const BUDGET = 3e8
/** A script without operations: Xen 4.20 boots with no empty module. */
const NOTHING = '\n'

/**
 * A kernel that makes nearly seven hundred hypercalls and privileged instructions, on real Xen and here: event channels, timers, vCPU
 * records, grant tables, versions, MSRs, control and debug registers, selectors; and as dom0, interrupts, PCI, the clock, firmware,
 * CPUs, machine checks, ports. It prints what came of each.
 */
for (const xen of PACKAGED_XENS) {
  test(`hypercalls and privileged instructions come to what they do on real Xen ${xen}`, {
    skip: skipOf(xen),
  }, async () => {
    const image = builtGuest('calls')
    const theirs = await bootXen({ ...findTools(xen), probe: image }, NOTHING, { domain: 'dom0' })
    const options = { xen: `${xen}-release`, domain: 'dom0', frames: null, budget: BUDGET } as const
    const ours = bootProbe(readFileSync(image), NOTHING, options)
    const said = (lines: readonly string[]): string[] => lines.filter((line) => line.startsWith('@'))
    assert.deepEqual([ours.end, theirs.end], ['end', 'end'])
    assert.deepEqual(said(ours.lines), said(theirs.lines))
    assert.ok(said(ours.lines).length > 600)
  })

  test(`the dump of a crash has the registers, bases, selectors and stack that real Xen ${xen} prints`, {
    skip: skipOf(xen),
  }, async () => {
    const image = builtGuest('calls')
    const script = 'crash\n'
    const theirs = await bootXen({ ...findTools(xen), probe: image }, script, { domain: 'dom0' })
    const options = { xen: `${xen}-release`, domain: 'dom0', frames: null, budget: BUDGET } as const
    const ours = bootProbe(readFileSync(image), script, options)
    assert.deepEqual([ours.end, theirs.end], ['crash', 'crash'])
    const dump = (lines: readonly string[]): string[] => {
      const start = lines.findIndex((line) => line.includes('Unhandled'))
      const end = lines.findIndex((line) => line.includes('Hardware Dom0 crashed'))
      // Whether TS is set is whether the CPU's FPU is somebody else's: Xen switches it when it is used.
      return lines.slice(start, end).map((line) => line.replace(/cr0: [0-9a-f]+/, 'cr0: -'))
    }
    assert.deepEqual(dump(ours.lines), dump(theirs.lines))
    assert.ok(dump(ours.lines).length > 20)
  })
}
