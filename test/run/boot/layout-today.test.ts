import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostMapConflicts } from '../../../src/linux/memory/host-map-conflict.ts'
import { layoutOf } from '../../../src/run/boot/layout-outcome.ts'
import { bootOutcome } from '../../../src/run/boot/outcome.ts'
import { layoutWithNotes } from '../../../src/toolstack/layouts/dom0-notes.ts'
import type { E820Entry } from '../../../src/xen/abi.ts'

/**
 * Two logs of 2024 of the same kind of machine, with ACPI NVS at 64 MiB. In the first the kernel's image ends there and its
 * page tables fall into the range: an older kernel stops. In the second a kernel of 6.12 moves the range and boots.
 */
const HOST = 'threadripper-qubes-64gb'

test('the domain builder’s parts lie where the two logs have them', () => {
  const first = layoutWithNotes(0x300_0000, 0, 619_175)
  assert.deepEqual(first.kernel, { start: 0x100_0000, end: 0x400_0000 })
  assert.deepEqual(first.pageTables, { start: 0x400_1000, end: 0x402_6000 })
  const second = layoutWithNotes(0x380_0000, 0x3c8_4e72, 1_000_315)
  assert.deepEqual(second.pageTables, { start: 0x480_1000, end: 0x482_a000 })
  assert.equal(second.vEnd, 0x4c0_0000)
  // The first block is one allocation: 1010000000 to 1018000000 in the log.
  assert.equal(second.initrd.start, 0x800_0000)
})

test('ACPI NVS at 64 MiB under the page tables stops a kernel before 6.12', () => {
  const machine = { map: HOST, memory: 619_175, kernelSize: 0x300_0000 }
  assert.deepEqual(bootOutcome({ ...machine, linux: '6.11' }), {
    outcome: 'fault',
    signature: 'BUG in xen_memory_setup: page tables where the host has ACPI NVS',
    pfn: '0x4001',
    detail: 'ACPI NVS at 0x4001000 under the page tables',
  })
  assert.deepEqual(bootOutcome({ ...machine, linux: '6.12' }), {
    outcome: 'booted',
    signature: '',
    detail: 'moves ACPI NVS at 0x4000000',
  })
})

test('under the kernel itself it does too, and 6.12 also moves an initrd away', () => {
  const machine = { map: HOST, memory: 1_015_808, kernelSize: 0x380_0000, initrdSize: 0x3c8_4e72 }
  const { outcome, signature } = bootOutcome({ ...machine, linux: '6.1' })
  assert.deepEqual(
    [outcome, signature],
    ['fault', 'BUG in xen_memory_setup: kernel where the host has ACPI NVS'],
  )
  const now = bootOutcome({ ...machine, linux: '6.12' })
  assert.equal(now.outcome, 'booted')
  assert.match(now.detail ?? '', /^moves ACPI NVS at 0x4000000, .*initrd$/)
})

test('the border is where the parts meet the range', () => {
  // Page tables and a page of start info behind the kernel: 36 pages of tables up to 64 MiB.
  const at = (kernelSize: number) =>
    bootOutcome({ map: HOST, memory: 619_175, linux: '6.6', kernelSize }).outcome
  const { pageTables } = layoutOf({ map: HOST, memory: 619_175, kernelSize: 0x2fd_b000 })
  assert.ok(pageTables.end > 0x400_0000)
  assert.deepEqual([at(0x2fd_a000), at(0x2fd_b000)], ['booted', 'fault'])
  assert.equal(layoutOf({ map: HOST, memory: 619_175, kernelSize: 0x2fd_a000 }).pageTables.end, 0x400_0000)
})

const map: E820Entry[] = [
  { start: 0, end: 0xa0000, type: 'usable' },
  { start: 0x10_0000, end: 0x400_0000, type: 'usable' },
  { start: 0x400_0000, end: 0x401_0000, type: 'ACPI NVS' },
  { start: 0x401_0000, end: 0x402_0000, type: 'reserved' },
  { start: 0x402_0000, end: 0x1000_0000, type: 'usable' },
]
const nowhere = { start: 0x300_0000, end: 0x300_0000 }
const parts = {
  kernel: { start: 0x100_0000, end: 0x200_0000 },
  pageTables: { start: 0x200_1000, end: 0x201_0000 },
  initrd: nowhere,
  p2m: { start: 0x210_0000, end: 0x220_0000 },
}
const old = { movesLists: true, movesNvs: false }
const today = { movesLists: true, movesNvs: true }

test('only ACPI NVS is moved: reserved ranges and gaps stop every kernel', () => {
  const at = (start: number, end: number, rule = today) =>
    hostMapConflicts(map, 0x10000, { ...parts, kernel: { start, end } }, rule)
  assert.deepEqual(at(0x3ff_0000, 0x400_1000), { dies: null, moved: ['ACPI NVS at 0x4000000'] })
  assert.deepEqual(at(0x3ff_0000, 0x400_1000, old).dies, { part: 'kernel', at: 0x400_0000, type: 'ACPI NVS' })
  assert.deepEqual(at(0x3ff_0000, 0x401_1000).dies, { part: 'kernel', at: 0x401_0000, type: 'reserved' })
  assert.deepEqual(at(0xfff_f000, 0x1000_1000).dies, { part: 'kernel', at: 0x1000_0000, type: 'nothing' })
})

test('p2m list and initrd go where there is room, or the kernel stops', () => {
  const p2m = { start: 0x3f0_0000, end: 0x410_0000 }
  assert.deepEqual(hostMapConflicts(map, 0x10000, { ...parts, p2m }, old), {
    dies: null,
    moved: ['p2m list'],
  })
  const initrd = { start: 0x3f0_0000, end: 0x3f0_0000 + 0xf00_0000 }
  assert.deepEqual(hostMapConflicts(map, 0x10000, { ...parts, initrd }, old).dies, {
    part: 'initrd',
    at: 0x400_0000,
    type: 'ACPI NVS',
  })
})

test('what has no meaning for a kernel of today is refused in words', () => {
  const reason = (options: object) => bootOutcome({ map: HOST, linux: '6.6', ...options }).detail
  assert.match(reason({ vEnd: 64 << 20 })!, /v_end follows from the kernel's size; give --kernel-size/)
  assert.match(reason({ domain: 'domU' })!, /concerns a dom0 only/)
  assert.match(reason({ memory: 0x1000 })!, /16 MiB of memory are too little/)
})
