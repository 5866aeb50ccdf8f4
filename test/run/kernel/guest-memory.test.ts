import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { PAGE, REGION } from '../../../src/bits/address.ts'
import { kernelHeader, kernelOfHeader, kernelSpec } from '../../../src/cli/verbs/boot/kernel-spec.ts'
import { newBoard, writeBoard } from '../../../src/machine/board/board.ts'
import { ARGUMENTS } from '../../../src/machine/vcpu/vcpu.ts'
import { KernelRun, type KernelSpec } from '../../../src/run/kernel/kernel-boot.ts'
import { buildKernelMachine, type KernelMachine } from '../../../src/run/kernel/kernel-machine.ts'
import { parseXlConfig } from '../../../src/toolstack/xl-config.ts'
import { HYPERCALL, MEMORY_OP } from '../../../src/xen/abi.ts'
import { grantFrames } from '../../../src/xen/hypercalls/grant-table-op.ts'
import { kernelOf, speaking } from '../../tools/tiny-kernel.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-memory-'))
after(() => rmSync(folder, { recursive: true }))

const kernel = { name: 'k', bytes: kernelOf(speaking('hi\n', 0)) }
const PAGES = 0x1000
const machineOf = (options: object): KernelMachine =>
  buildKernelMachine({ kernel, memory: PAGES, ...options }, () => {})

/** What memory_op answers about the map: its result, and the entries as words. The end of start_info's page is free. */
function mapOf({ start: { vcpu }, layout }: KernelMachine): { rc: number; words: number[] } {
  assert.ok(layout !== null)
  const at = layout.virtBase + layout.startInfo * PAGE + PAGE / 2
  // {u32 room, u64 list*}
  vcpu.store64(at, 8, 0)
  vcpu.store64(at + 8, (at + 16) >>> 0, 0xffff_ffff)
  vcpu.setNumber(ARGUMENTS[0], MEMORY_OP.memory_map)
  vcpu.setVa(ARGUMENTS[1], at)
  const rc = vcpu.hypercall(HYPERCALL.memory_op)
  const count = rc === 0 ? vcpu.load32(at) : 0
  return { rc, words: Array.from({ length: count * 5 }, (_, i) => vcpu.load32(at + 16 + i * 4)) }
}

test("the map is xl's: one range of RAM up to what the guest may come to have", () => {
  assert.deepEqual(mapOf(machineOf({})), { rc: 0, words: [0, 0, PAGES * 4096, 0, 1] })
  const larger = machineOf({ maxMemory: 2 * PAGES })
  assert.deepEqual(mapOf(larger).words, [0, 0, 2 * PAGES * 4096, 0, 1])
  // The reservation follows the memory, not the map: libxl's target and a MiB.
  assert.equal(larger.start.domain.maxPages, PAGES + 256)
  assert.equal(larger.start.domain.totPages, PAGES)
  assert.deepEqual(mapOf(machineOf({ hasMap: false })), { rc: -38, words: [] })
})

test('maxmem of a configuration, and --no-e820', () => {
  const path = join(folder, 'kernel')
  writeFileSync(path, kernel.bytes)
  const pagesOf = (text: string, flags: object = {}): unknown[] => {
    const config = parseXlConfig(`kernel="${path}"\n${text}`, 'c')
    const spec = kernelSpec({ config: 'c', ...flags }, config) as KernelSpec & Record<string, unknown>
    return [spec.memory, spec.maxMemory, spec.hasMap]
  }
  assert.deepEqual(pagesOf('memory=16\nmaxmem=32'), [0x1000, 0x2000, undefined])
  assert.deepEqual(pagesOf('maxmem=32'), [0x2000, 0x2000, undefined])
  assert.deepEqual(pagesOf('memory=16'), [0x1000, undefined, undefined])
  assert.deepEqual(pagesOf('memory=16\nmaxmem=32', { memory: '64M', noE820: true }), [0x4000, 0x4000, false])
})

test('a trace says whether there was a map, and its run is made again with or without', () => {
  const path = join(folder, 'traced')
  writeFileSync(path, kernel.bytes)
  for (const flags of [{ kernel: path, noE820: true }, { kernel: path }]) {
    const spec = kernelSpec(flags)
    const header = JSON.stringify({ kind: 'header', schema: 1, run: kernelHeader(flags, spec) })
    assert.deepEqual(kernelOfHeader(header, 't'), spec)
    assert.equal('hasMap' in spec, 'noE820' in flags)
  }
  assert.throws(() => kernelSpec({ restore: path, noE820: true }), /leave out --no-e820/)
})

test('a snapshot keeps the map, or that there is none', () => {
  for (const options of [{ maxMemory: 2 * PAGES }, { hasMap: false }]) {
    const run = new KernelRun({ kernel, memory: PAGES, ...options })
    const again = new KernelRun({ restore: { name: 's', bytes: run.snapshot() } })
    const { memoryMap } = run.machine.start.domain
    assert.deepEqual(again.machine.start.domain.memoryMap, memoryMap)
    assert.deepEqual(memoryMap?.length, 'hasMap' in options ? undefined : 1)
  }
})

test('a snapshot keeps what the devices of a board remember, and numbers of interrupts', () => {
  const run = new KernelRun({ kernel, memory: PAGES })
  const { xen, start } = run.machine
  xen.board = newBoard({ wallClock: 1_700_000_000, hasAcpi: true })
  writeBoard(xen.board, 5, 0x61, 1)
  for (const [port, byte] of [
    [0x43, 0xb0],
    [0x42, 0x12],
    [0x602, 0x20],
    [0x70, 0x0b],
  ])
    writeBoard(xen.board, 7, port, byte)
  xen.board.pciFunctions = [0xf1]
  start.domain.pirqs.push({ pirq: 5, line: 5, isLeaving: true })
  start.domain.deniedLines.push(5)
  start.domain.ports[9] = { kind: 'pirq', pirq: 5, vcpu: 0 }
  const { machine } = new KernelRun({ restore: { name: 's', bytes: run.snapshot() } })
  assert.deepEqual(machine.xen.board, xen.board)
  const { pirqs, deniedLines, ports } = machine.start.domain
  assert.deepEqual([pirqs, deniedLines, ports[9]], [start.domain.pirqs, [5], start.domain.ports[9]])
})

test('a snapshot keeps what a guest has told Xen: watchdogs, ports, where the time goes', () => {
  const run = new KernelRun({ kernel, memory: PAGES })
  const { domain } = run.machine.start
  const { xen } = run.machine
  const [vcpu] = domain.vcpus
  domain.watchdogs[1] = xen.clock.now + 0xffff_ffff * 1e9
  Object.assign(domain, { shutdownCode: 3, cmosIndex: 0x8f, pciAddress: 0x8000_0000 })
  Object.assign(vcpu, {
    ioBitmap: { at: 0x1000, ports: 0x400 },
    nmiPending: true,
    nmiMasked: true,
    timeAt: 0x2000,
  })
  const again = new KernelRun({ restore: { name: 's', bytes: run.snapshot() } }).machine.start.domain
  const told = (of: typeof domain): unknown => [
    of.watchdogs,
    [of.shutdownCode, of.cmosIndex, of.pciAddress, of.maxPort],
    of.vcpus.map(({ ioBitmap, nmiPending, nmiMasked, timeAt, down }) => [
      ioBitmap,
      nmiPending,
      nmiMasked,
      timeAt,
      down,
    ]),
  ]
  assert.deepEqual(told(again), told(domain))
  assert.equal(domain.maxPort, 1023)
})

test('what Xen shares with a real kernel is RAM that the M2P speaks of, and nobody is given it', () => {
  const { xen, start } = machineOf({})
  const { domain, vcpu } = start
  const shared = [domain.sharedInfo, ...grantFrames(xen, domain, xen.version.abi.grantFrames)]
  // Xen's own tables stand in every L4, where a guest that dumps its tables looks them up.
  const tables = [xen.m2p.l3, ...xen.xenL3s.values()]
  for (const mfn of [...shared, ...tables]) {
    assert.ok(mfn < xen.maxPage, `frame ${mfn.toString(16)} is beyond the machine's end`)
    assert.equal(xen.heap.has(mfn), false)
    // INVALID_M2P_ENTRY, as share_xen_page_with_guest() leaves it; a load that faults would throw.
    assert.equal(vcpu.load32(REGION.m2p + mfn * 8), 0xffff_ffff)
    assert.equal(vcpu.load32(REGION.m2p + mfn * 8 + 4), 0xffff_ffff)
  }
  assert.equal(new Set([...shared, ...tables]).size, shared.length + tables.length)
  assert.equal(xen.heap.most, 0x100, 'all but the first MiB is the guest’s or Xen’s')
})
