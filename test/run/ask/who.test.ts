import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replay } from '../../../src/run/ask/replay.ts'
import { who } from '../../../src/run/ask/who.ts'
import { why } from '../../../src/run/ask/why.ts'
import { boot } from '../../../src/run/boot/boot.ts'
import { BadInput } from '../../../src/run/boot/boot-options.ts'
import { runScript } from '../../../src/run/script/script.ts'
import { traceHeader, traceLine } from '../../../src/run/trace.ts'

const SEED = { boot: {} }

test("the seed's frame: one writable entry of an L1 that nothing reaches, written when it was filled", () => {
  const frame = who(SEED, 'pfn:bacf7')
  assert.equal(frame.mfn, '0xb1d89')
  assert.equal(frame.type, 'writable')
  assert.equal(frame.typeWord, '7400000000000001')
  assert.equal(frame.refsWord, '8000000000000002')
  const [entry, allocation] = frame.holders
  assert.equal(entry.kind, 'entry')
  assert.equal(entry.tablePfn, '0xbacf6')
  assert.equal(entry.slot, 247)
  assert.deepEqual(entry.addresses, [])
  assert.match(entry.since.what, /^stores to mfn aadf6, 384 entries from slot 0 on$/)
  // What made Xen count it is the pin of its table, which came later.
  assert.match(entry.counted?.what ?? '', /^mmuext_op PIN_L1_TABLE mfn aadf6$/)
  assert.ok((entry.counted?.event ?? 0) > entry.since.event)
  assert.equal(allocation.kind, 'allocation')
  assert.deepEqual(
    frame.history.map((h) => h.type),
    ['none', 'writable'],
  )
  // It became writable when the L1 that maps it was pinned, after that L1 had been filled.
  assert.ok(frame.history[1].event > entry.since.event)
  assert.match(frame.history[1].what, /aadf6/)
})

test('a frame is found by mfn and by address, at the end and in the middle of a run', () => {
  const byMfn = who(SEED, 'mfn:b1d89', 9000)
  assert.equal(byMfn.pfn, '0xbacf7')
  assert.equal(byMfn.type, 'none')
  assert.equal(byMfn.at, 9000)
  const root = who(SEED, 'va:ffffffff811c5000')
  assert.equal(root.pfn, '0x11c5')
  assert.equal(root.type, 'l4')
  assert.deepEqual(
    root.holders.map((h) => h.kind),
    ['entry', 'pin', 'root', 'allocation'],
  )
  assert.deepEqual(root.holders[0].addresses, ['0xffff8800011c5000', '0xffffffff811c5000'])
})

test('every reference that Xen counts has a holder', () => {
  for (const frame of ['pfn:bacf7', 'pfn:bacf6', 'va:ffffffff811c5000', 'pfn:1000']) {
    const report = who(SEED, frame)
    // Tables are held by entries, pins and roots; each is one reference, and the allocation is another.
    assert.equal(report.holders.length, report.refCount, frame)
  }
})

test('why: the request that was refused, and the frame as it was then', () => {
  const seed = why(SEED)
  assert.equal(seed.refused.what, 'mmuext_op PIN_L1_TABLE mfn b1d89 = -22')
  assert.equal(seed.saw, '7400000000000001')
  assert.equal(seed.exp, '1000000000000000')
  assert.equal(seed.frame.pfn, '0xbacf7')
  const b0 = why({ boot: { linux: 'B0' } })
  assert.match(b0.refused.what, /refused$/)
  assert.equal(b0.frame.type, 'l3')
  assert.throws(() => why({ boot: { linux: 'D' } }), BadInput)
})

test('what is no frame, or no moment, is said in one line', () => {
  for (const frame of [
    '',
    'bacf7',
    'pfn:xyz',
    'pfn:fffffffff',
    'mfn:ffffffffff',
    'va:ffff800000000000000',
    'va:0',
  ]) {
    assert.throws(() => who(SEED, frame), BadInput, frame)
  }
  assert.throws(() => who(SEED, 'pfn:bacf7', 10_000_000), /events/)
})

test('a trace is replayed event by event, and a changed one differs where it was changed', () => {
  const options = { linux: 'B', map: 'seedlike-bacf7' }
  const lines = [traceHeader({ boot: options })]
  boot(options, (event) => lines.push(traceLine(event)))
  assert.deepEqual(replay(lines, 'x'), { schema: 1, events: lines.length - 1, difference: null })
  const at = lines.findIndex((line) => line.includes('"kind":"fill"') && line.includes('"count":512'))
  const changed = [...lines]
  changed[at] = lines[at].replace('"count":512', '"count":511')
  assert.equal(replay(changed, 'x').difference?.event, at)
  const short = lines.slice(0, -3)
  assert.equal(replay(short, 'x').difference?.trace, null)
})

test('what is no trace is said in one line, with the place', () => {
  const header = traceHeader({ boot: {} })
  const bad: [string[], RegExp][] = [
    [[], /empty/],
    [['{}'], /^x:1: no trace/],
    [['{"kind":"header","schema":2,"run":{}}'], /schema 2/],
    [['{"kind":"header","schema":1,"run":{"what":1}}'], /names neither/],
    [[traceHeader({ boot: { linux: 5 } })], /boot, linux: expected string, found 5/],
    [[traceHeader({ boot: { map: { name: 'x', kind: 'host', entries: [{}] } } })], /boot, map: expected/],
    [[traceHeader({ boot: { toString: 1 } })], /boot, toString: there is no such field/],
    [[header, '{"kind":"nonsense"}'], /^x:2: no event is of kind "nonsense"/],
    [[header, '{"kind":"fill","table":"0x1","slot":0,"count":1}'], /fill, entry: it is missing/],
    [[header, '{"kind":"fill"'], /cut off/],
  ]
  for (const [lines, message] of bad) {
    assert.throws(
      () => replay(lines, 'x'),
      (error: Error) =>
        error instanceof BadInput && message.test(error.message) && !error.message.includes('\n'),
      JSON.stringify(lines),
    )
  }
})

const SCRIPT = ['pages R 3', 'set R1[0] = R0|P|RW|US|A|D', 'ro R1', 'pin1 R1', 'ro R0', 'pin1 R0'].join('\n')

test('a script is asked the same questions: the pin is refused because of the entry that line 2 wrote', () => {
  const spec = { script: { text: SCRIPT } }
  const { refused, saw, exp, frame } = why(spec)
  assert.match(refused.what, /^mmuext_op PIN_L1_TABLE mfn [0-9a-f]+ = -22$/)
  assert.equal(saw, 'e400000000000001')
  assert.equal(exp, '2000000000000000')
  const writable = frame.holders.filter((h) => h.flags?.includes('RW'))
  assert.equal(writable.length, 1)
  assert.equal(writable[0].slot, 0)
  assert.match(writable[0].since.what, /^store of .* slot 0$/)
  assert.deepEqual(frame.history.at(-1)?.type, 'writable')
})

test("a script's trace is replayed, in dom0 and in a domU", () => {
  for (const domain of ['dom0', 'domU'] as const) {
    const script = { text: SCRIPT, domain }
    const lines = [traceHeader({ script })]
    runScript(SCRIPT, { ...script, sink: (event) => lines.push(traceLine(event)) })
    assert.ok(lines.length > 15)
    assert.equal(lines.filter((line) => line.includes('"kind":"op"')).length, 6)
    assert.deepEqual(replay(lines, 'x'), { schema: 1, events: lines.length - 1, difference: null })
  }
})
