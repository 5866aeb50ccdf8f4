import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alignRuns, differenceOf } from '../../oracle/hypercalls/align.ts'
import { CallLog } from '../../oracle/hypercalls/call-log.ts'
import { UNEXPLAINED } from '../../oracle/hypercalls/explained.ts'
import { compareCalls, reportLines } from '../../oracle/hypercalls/report.ts'
import { type MadeCall, placeOf, roleOf, structureOf } from '../../oracle/hypercalls/roles.ts'
import { runsOf } from '../../oracle/hypercalls/runs.ts'
import { syscallSites } from '../../oracle/hypercalls/sites.ts'
import { SymbolTable } from '../../src/guest/symbols/symbol-table.ts'
import type { readImage } from '../../src/toolstack/image/image.ts'
import { EVTCHNOP, HYPERCALL, MMUEXT, SCHED_OP, VIRQ } from '../../src/xen/abi.ts'

const TEXT = 0xffff_8100_0000
const symbols = new SymbolTable([
  [TEXT, 'xen_hypercall_pv'],
  [TEXT + 0x100, 'xen_asm_exc_page_fault'],
])

function call(
  nr: number,
  args: readonly bigint[],
  words: readonly number[] = [],
  rc: number | null = 0,
): MadeCall {
  const five = [...args, 0n, 0n, 0n, 0n, 0n].slice(0, 5)
  return {
    nr,
    args: five,
    bytes: words.length === 0 ? null : new Uint8Array(Uint32Array.from(words).buffer),
    rc,
  }
}

const update = (requests: number, rc = 0): MadeCall =>
  call(HYPERCALL.mmu_update, [0x1000n, BigInt(requests), 0n, 0x7ff0n], [0x5000, 1, 0, 0], rc)
const pin = call(HYPERCALL.mmuext_op, [0x1000n, 1n, 0n, 0x7ff0n], [MMUEXT.PIN_L1_TABLE, 0, 0x77, 0, 0, 0])
const iret = call(HYPERCALL.iret, [], [], null)

test('a call has its role: the command, what the kernel has at an address, no frames', () => {
  const roles = (made: MadeCall): string => roleOf(made, symbols).text
  assert.equal(roles(update(3)), 'mmu_update NORMAL_PT_UPDATE')
  assert.equal(roleOf(update(3), symbols).requests, 3)
  assert.equal(roles(pin), 'mmuext_op PIN_L1_TABLE')
  const fault = call(HYPERCALL.callback_op, [0n, 0x1000n], [0, 0, 0x8100_0100, 0xffff_ffff])
  assert.equal(roles(fault), 'callback_op event xen_asm_exc_page_fault')
  const virq = call(HYPERCALL.event_channel_op, [BigInt(EVTCHNOP.bind_virq), 0x1000n], [VIRQ.TIMER, 0])
  assert.equal(roles(virq), 'event_channel_op bind_virq TIMER')
  assert.equal(roles(call(HYPERCALL.sched_op, [BigInt(SCHED_OP.block)])), 'sched_op block')
  const mapping = call(HYPERCALL.update_va_mapping, [0xffff_8880_0000_1000n, 0x63n, 0n])
  assert.equal(roles(mapping), 'update_va_mapping direct map rw')
  assert.equal(roles(call(63, [])), '63')
})

test('a multicall is what it holds', () => {
  const entry = (nr: number, ...args: number[]): number[] =>
    Array.from({ length: 16 }, (_, i) =>
      i === 0 ? nr : i >= 4 && i % 2 === 0 ? (args[(i - 4) / 2] ?? 0) : 0,
    )
  const words = [
    ...entry(HYPERCALL.update_va_mapping, 0x1000, 0),
    ...entry(HYPERCALL.update_va_mapping, 0x2000, 0),
    ...entry(HYPERCALL.mmuext_op, 0x5000, 1),
  ]
  const made = call(HYPERCALL.multicall, [0x1000n, 3n], words)
  assert.equal(roleOf(made, symbols).text, 'multicall [update_va_mapping process none x 2, mmuext_op]')
  assert.deepEqual(structureOf(HYPERCALL.multicall, made.args), { va: 0x1000n, bytes: 192 })
})

test('what cannot be read, and what a hostile kernel asks for, has a role all the same', () => {
  const most = 2n ** 64n - 1n
  for (let nr = 0; nr < 64; nr++) {
    for (const value of [0n, 1n, most]) {
      const args = Array(5).fill(value) as bigint[]
      assert.notEqual(roleOf({ nr, args, bytes: null, rc: null }, symbols).text, '')
      assert.ok((structureOf(nr, args)?.bytes ?? 0) <= 2048)
    }
  }
})

test('addresses are symbols of the kernel or the regions of its address space', () => {
  assert.equal(placeOf(0xffff_ffff_8100_0004n, symbols), 'xen_hypercall_pv')
  assert.equal(placeOf(0xffff_c900_0000_0000n, symbols), 'vmalloc')
  assert.equal(placeOf(0x40_0000n, symbols), 'process')
  assert.equal(placeOf(0x8000_0000_0000_0000n, symbols), 'nowhere')
})

test('results find their calls whatever comes between, and a call that is put off is one', () => {
  const log = new CallLog()
  const block = { nr: HYPERCALL.sched_op, args: [1n, 0n, 0n, 0n, 0n], bytes: null }
  log.made(0x1000n, block)
  log.made(0x2000n, update(8))
  log.made(0x2000n, update(3))
  log.returned(0x2000n, 0)
  log.made(0x1800n, iret)
  log.returned(0x1000n, -4)
  log.returned(0x9000n, 1)
  assert.deepEqual(
    log.calls.map(({ nr, rc }) => [nr, rc]),
    [
      [HYPERCALL.sched_op, -4],
      [HYPERCALL.mmu_update, 0],
      [HYPERCALL.iret, null],
    ],
  )
  assert.equal(roleOf(log.calls[1], symbols).requests, 8)
  assert.equal(log.isOver, false)
  for (const part of ['Run /init as', ' init process\n']) {
    const bytes = Buffer.from(part)
    log.made(0x1000n, { nr: HYPERCALL.console_io, args: [0n, BigInt(bytes.length), 1n, 0n, 0n], bytes })
    log.returned(0x1000n, 0)
  }
  assert.equal(log.isOver, true)
})

test('sequences are put beside each other by runs, those of the moment apart', () => {
  const ours = [update(1), iret, update(2), pin, update(5)]
  const xens = [update(3), pin, pin, call(HYPERCALL.vm_assist, [0n, 2n]), update(5, -22), iret, iret]
  const comparison = compareCalls(ours, xens, symbols)
  assert.deepEqual(comparison.pairs.map(differenceOf), [
    null,
    'another number',
    'missing here',
    'another result',
  ])
  assert.deepEqual(comparison.facing, { ours: 4, xens: 4 })
  assert.deepEqual(
    comparison.moments.map(({ ours: o, xens: x }) => [o?.calls, x?.calls]),
    [[1, 2]],
  )
  assert.deepEqual([...comparison.kinds], [[UNEXPLAINED, 3]])
  const lines = reportLines(comparison, false)
  assert.ok(
    lines.some((line) => /^- +- +1 vm_assist enable writable_pagetables \(unexplained\)$/.test(line)),
    lines.join('\n'),
  )
  assert.ok(
    lines.some((line) => /^! .*mmu_update NORMAL_PT_UPDATE \| 0 \| -22 \(unexplained\)$/.test(line)),
    lines.join('\n'),
  )
  assert.ok(
    lines.some((line) => /^# +1 +2 mmuext_op PIN_L1_TABLE \(unexplained\)$/.test(line)),
    lines.join('\n'),
  )
})

test('a difference of a kind that is known is explained, and no other result is but those of the FIFO', () => {
  const channel = (cmd: number, rc: number): MadeCall =>
    call(HYPERCALL.event_channel_op, [BigInt(cmd), 0x1000n], [0, 0], rc)
  const kinds = (ours: MadeCall[], xens: MadeCall[]): [string, number][] => [
    ...compareCalls(ours, xens, symbols).kinds,
  ]
  assert.deepEqual(kinds([channel(11, -38)], [channel(11, 0), channel(12, 0)]), [
    ['no FIFO of event channels', 2],
  ])
  assert.deepEqual(kinds([channel(6, -38)], [channel(6, 0)]), [[UNEXPLAINED, 1]])
  assert.deepEqual(kinds([update(1), pin], [pin]), [
    ['other firmware and devices are mapped, or at another moment', 1],
  ])
  assert.deepEqual(kinds([pin], [pin]), [])
})

test('no two sequences can be put beside each other with more that face', () => {
  const words = 'abcabba'
  const runs = (text: string) =>
    [...text].map((letter) => ({ text: letter, calls: 1, requests: 1, results: new Map([[0, 1]]) }))
  const facing = (a: string, b: string): string =>
    alignRuns(runs(a), runs(b))
      .filter(({ ours, xens }) => ours !== null && xens !== null)
      .map(({ ours }) => ours?.text)
      .join('')
  assert.equal(facing(words, 'cbabac').length, 4)
  for (const [a, b] of [
    ['', ''],
    ['', 'ab'],
    ['ab', ''],
    ['abc', 'abc'],
    ['abcd', 'xabyd'],
  ] as const) {
    const pairs = alignRuns(runs(a), runs(b))
    assert.equal(pairs.map(({ ours }) => ours?.text ?? '').join(''), a)
    assert.equal(pairs.map(({ xens }) => xens?.text ?? '').join(''), b)
    assert.equal(facing(a, b).length, longest(a, b))
  }
  assert.equal(runsOf([], symbols).runs.length, 0)
})

function longest(a: string, b: string): number {
  if (a === '' || b === '') return 0
  if (a[0] === b[0]) return 1 + longest(a.slice(1), b.slice(1))
  return Math.max(longest(a.slice(1), b), longest(a, b.slice(1)))
}

test('where a kernel makes its hypercalls is read in its code', () => {
  const code = Uint8Array.from([0x51, 0x41, 0x53, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3])
  const segment = { va: TEXT, bytes: new Uint8Array(0x200), memoryBytes: 0x200 }
  segment.bytes.set(code)
  const image = { segments: [segment] } as unknown as ReturnType<typeof readImage>
  assert.throws(() => syscallSites(image, symbols), /no xen_iret/)
  const both = new SymbolTable([
    [TEXT, 'xen_hypercall_pv'],
    [TEXT + 0x80, 'xen_iret'],
  ])
  assert.throws(() => syscallSites(image, both), /makes no system call/)
  segment.bytes.set([0xb8, 0x17, 0, 0, 0, 0x0f, 0x05], 0x80)
  const base = 0xffff_ffff_8100_0000n
  assert.deepEqual(syscallSites(image, both), { push: base + 1n, pop: base + 5n, iret: base + 0x85n })
})
