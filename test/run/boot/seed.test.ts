import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { Memblock } from '../../../src/linux/memory/memblock.ts'
import { earlyTablePages } from '../../../src/linux/tables/early-tables.ts'
import { type BootOptions, boot } from '../../../src/run/boot/boot.ts'
import type { TraceEvent } from '../../../src/run/trace.ts'
import { buffers, ending, releaseLines, tableLines, withBorder } from '../../tools/boot-tools.ts'

/** The seed's log, line by line. */
const seedLog = [
  'mapping kernel into physical memory',
  'Xen: setup ISA identity maps',
  'about to get started...',
  '(XEN) mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn b1d89 (pfn bacf7)',
  '(XEN) mm.c:3027:d0 Error while pinning mfn b1d89',
  '(XEN) traps.c:481:d0 Unhandled invalid opcode fault/trap [#6] on VCPU 0 [ec=0000]',
  '(XEN) domain_crash_sync called from entry.S',
  '(XEN) Domain 0 (vcpu#0) crashed on cpu#0:',
]

/** The seed's machine by its parts, so that one of them can differ. */
const seedMachine = { map: 'msi-h61m-p23-8g', memory: 0x1acb65, vEnd: 0x10400000 } as const

test('the seed: its eight lines, in their order and with no other between them on the console', () => {
  const result = boot()
  const shown = result.console.filter((_, i) => result.sources[i] !== 'log')
  assert.deepEqual(shown.slice(0, 8), seedLog)
  assert.equal(shown[8], '(XEN) ----[ Xen-4.2-unstable  x86_64  debug=y  Not tainted ]----')
  const { outcome, via, call, pfn, mfn, saw, exp } = result
  assert.deepEqual(
    { outcome, via, call, pfn, mfn, saw, exp },
    {
      outcome: 'refused',
      via: 'pin',
      call: 1,
      pfn: '0xbacf7',
      mfn: '0xb1d89',
      saw: '7400000000000001',
      exp: '1000000000000000',
    },
  )
  assert.equal(result.linux, 'B')
  assert.equal(result.machine.scenario, 'seed')
  assert.deepEqual(buffers(result), ['0xba7a4..0xbacf8..0xbad80'])
  assert.deepEqual(tableLines(result), ['kernel direct mapping tables up to bb000000 @ ba7a4000-bad80000'])
})

test('the seed: the buffer has 1500 pages, as the sum of the three levels says', () => {
  assert.equal(earlyTablePages(0xbb000000), 1500)
  assert.equal(1 + 3 + 1496, 1500)
  assert.equal(0xbad80 - 0xba7a4, 1500)
})

test('the seed: who maps the refused page writable, where, and when that was written', () => {
  const { holder } = boot()
  assert.ok(holder)
  assert.equal(holder.tablePfn, '0xbacf6')
  assert.equal(holder.slot, 247)
  assert.equal(0xbac00 + 247, 0xbacf7)
  assert.equal(holder.address, '0xffff8800bacf7000')
  assert.equal(holder.reachable, false)
  assert.match(holder.flags, /^P\|RW\|/)
  assert.match(holder.entry, /^0x80100000b1d89[0-9a-f]{3}$/)
  // The L1 0xbacf6 was the newest table then, and the page that it maps was the next to be taken.
  assert.deepEqual(holder.written, {
    region: '0xffff8800bac00000',
    buffer: { start: '0xba7a4', end: '0xbacf7', top: '0xbad80' },
  })
})

test('the seed: the walk that should have caught it came back silently, as for every table of that GiB', () => {
  const calls: { pfn: number; reachable: boolean }[] = []
  let linked = 0
  boot({}, (event: TraceEvent) => {
    if (event.kind === 'linux' && event.what === 'alloc_pte')
      calls.push(event.args as { pfn: number; reachable: boolean })
    if (event.kind === 'linux' && event.what === 'pud_populate') linked = (event.args.gib as number) + 1
  })
  const last = calls.at(-1)
  assert.equal(last?.pfn, 0xbacf7)
  assert.equal(last?.reachable, false)
  // GiB 1 hangs in the tables; GiB 2, in which the whole buffer lies, does not yet.
  assert.equal(linked, 2)
  const ours = calls.filter((call) => call.pfn >= 0xba7a4)
  assert.equal(
    ours.some((call) => call.reachable),
    false,
  )
  // With a walk that complained, as before fef5ba797991, the kernel would have stopped at its first high table.
  assert.equal(ours[0].pfn, 0xba7a4)
})

test('generation A: tables below the identity map, and it boots', () => {
  const result = boot({ linux: 'A' })
  assert.equal(ending(result), 'booted')
  assert.deepEqual(tableLines(result), [
    'kernel direct mapping tables up to bb000000 @ 10623000-10bff000',
    'kernel direct mapping tables up to 27fbdc000 @ b9977000-bad80000',
  ])
  assert.deepEqual(buffers(result), ['0x10623..0x10b77..0x10bff', '0xb9977..0xba57b..0xbad80'])
  assert.deepEqual(releaseLines(result), [])
})

test('generation B0: refused before any table is built, at the first store to a live table', () => {
  const result = boot({ linux: 'B0' })
  assert.equal(result.outcome, 'refused')
  assert.equal(result.via, 'ptwr')
  assert.equal(result.call, 1)
  assert.deepEqual(buffers(result), ['0xba7a4..0xba7a4..0xbad80'])
})

test("B with the seed's commit alone: the mask is what it was, and so is the crash", () => {
  for (const options of [{ linux: 'B+seed' }, { linux: 'B', with: ['a38647837a41'] }]) {
    const result = boot({ ...options, mfn: [[0xbacf7, 0xb1d89]] })
    assert.equal(result.linux, 'B+seed')
    assert.equal(ending(result), 'pin 0xbacf7 in call 1')
    assert.equal(result.mfn, '0xb1d89')
    assert.equal(result.saw, '7400000000000001')
    assert.deepEqual(buffers(result), ['0xba7a4..0xbacf8..0xbad80'])
    assert.deepEqual(releaseLines(result), [])
  }
})

test('C0, the mask up to the top and no release: both calls pass, NODE_DATA faults in the second tail', () => {
  const result = boot({ linux: 'B', with: ['b9269dc7bfdf'] })
  assert.equal(result.linux, 'C0')
  assert.equal(result.outcome, 'fault')
  assert.equal(result.via, 'page-fault')
  assert.equal(result.call, null)
  assert.equal(result.pfn, '0x1acb60')
  assert.deepEqual(buffers(result), ['0xba7a4..0xbacf8..0xbad80', '0x1ab75c..0x1ac360..0x1acb65'])
  assert.deepEqual(result.nodeData, { base: '0x1acb60000', end: '0x1acb65000' })
  assert.ok(result.console.includes('  NODE_DATA [00000001acb60000 - 00000001acb64fff]'))
  assert.deepEqual(tableLines(result), [
    'kernel direct mapping tables up to bb000000 @ ba7a4000-bad80000',
    'kernel direct mapping tables up to 27fbdc000 @ 1ab75c000-1acb65000',
  ])
  assert.deepEqual(releaseLines(result), [])
})

test("the seed's repair, C: the first tail comes back in call 2, the second with ACPI, and it boots", () => {
  const result = boot({ linux: 'C' })
  assert.equal(ending(result), 'booted')
  const told = result.console.filter((line) => /direct mapping tables|setting RW|NODE_DATA/.test(line))
  assert.deepEqual(told, [
    'kernel direct mapping tables up to bb000000 @ ba7a4000-bad80000',
    'kernel direct mapping tables up to 27fbdc000 @ 1ab75c000-1acb65000',
    'xen: setting RW the range bacf8000 - bad80000',
    'xen: setting RW the range 1ac360000 - 1acb65000',
    '  NODE_DATA [00000001acb60000 - 00000001acb64fff]',
  ])
  // The first tail is K + 2 = 136 pages, the second 2048 + 4 + 1.
  assert.equal(0xbad80 - 0xbacf8, 136)
  assert.equal(0x1acb65 - 0x1ac360, 2053)
})

test('its successor, D: the same two lines, each at the end of its call', () => {
  const result = boot({ linux: 'D' })
  assert.equal(ending(result), 'booted')
  const told = result.console.filter((line) => /direct mapping tables|setting RW|NODE_DATA/.test(line))
  assert.deepEqual(told, [
    'kernel direct mapping tables up to bb000000 @ ba7a4000-bad80000',
    'xen: setting RW the range bacf8000 - bad80000',
    'kernel direct mapping tables up to 27fbdc000 @ 1ab75c000-1acb65000',
    'xen: setting RW the range 1ac360000 - 1acb65000',
    '  NODE_DATA [00000001acb60000 - 00000001acb64fff]',
  ])
})

test('tables low again: nothing to repair', () => {
  const result = boot({ linux: 'low' })
  assert.equal(ending(result), 'booted')
  // Below the frame of the p2m list, 0xf593: the highest 1500 free pages are those below the image, at 16 MiB.
  assert.deepEqual(buffers(result), ['0xa24..0xf78..0x1000', '0xb9977..0xba57b..0xbad80'])
})

test('one commit at a time, from the crash to the cure', () => {
  const steps: [BootOptions, string, string][] = [
    [{ linux: 'B' }, 'B', 'pin 0xbacf7 in call 1'],
    // Each half of the repair alone does not do.
    [{ linux: 'B', with: ['a38647837a41'] }, 'B+seed', 'pin 0xbacf7 in call 1'],
    [{ linux: 'B', with: ['b9269dc7bfdf'] }, 'C0', 'fault 0x1acb60'],
    [{ linux: 'B', with: ['a38647837a41', 'b9269dc7bfdf'] }, 'C', 'booted'],
    [{ linux: 'C', without: ['a38647837a41'] }, 'C0', 'fault 0x1acb60'],
    [{ linux: 'C', without: ['b9269dc7bfdf'] }, 'B+seed', 'pin 0xbacf7 in call 1'],
    [{ linux: 'C', with: ['92bdaef7b2c5'] }, 'C0', 'fault 0x1acb60'],
    [{ linux: 'C0', with: ['279b706bf800'] }, 'D', 'booted'],
    [{ linux: 'D', without: ['279b706bf800'] }, 'C0', 'fault 0x1acb60'],
    // A hook cannot help where the mask lets the tail be writable.
    [{ linux: 'D', without: ['b9269dc7bfdf'] }, 'D-b9269dc7bfdf', 'pin 0xbacf7 in call 1'],
    // The rule for the slots is what gets B as far as it does, and low tables are the other cure.
    [{ linux: 'B', without: ['d8aa5ec3382e'] }, 'B0', 'ptwr 0x11c6 in call 1'],
    [{ linux: 'B', with: ['8548c84da2f4'] }, 'low', 'booted'],
  ]
  for (const [options, name, expected] of steps) {
    const result = boot({ ...seedMachine, ...options })
    assert.equal(result.linux, name)
    assert.equal(ending(result), expected, JSON.stringify(options))
  }
})

test('v_end 4 MiB smaller or larger moves the page by two: P = 0xbad7d - K, K = v_end / 2 MiB + 4', () => {
  // K = 132, 134 and 136.
  const expected: [number, string, string][] = [
    [0x10000000, 'pin 0xbacf9 in call 1', '0xba7a4..0xbacfa..0xbad80'],
    [0x10400000, 'pin 0xbacf7 in call 1', '0xba7a4..0xbacf8..0xbad80'],
    [0x10800000, 'pin 0xbacf5 in call 1', '0xba7a4..0xbacf6..0xbad80'],
  ]
  assert.equal(0xbad7d - 132, 0xbacf9)
  assert.equal(0xbad7d - 134, 0xbacf7)
  assert.equal(0xbad7d - 136, 0xbacf5)
  for (const [vEnd, end, buffer] of expected) {
    const result = boot({ ...seedMachine, vEnd })
    assert.equal(ending(result), end)
    assert.deepEqual(buffers(result), [buffer])
  }
})

test("the RAM block's end one page lower or higher moves buffer and page with it", () => {
  const expected: [number, string, string][] = [
    [0xbad7f000, 'pin 0xbacf6 in call 1', '0xba7a3..0xbacf7..0xbad7f'],
    [0xbad81000, 'pin 0xbacf8 in call 1', '0xba7a5..0xbacf9..0xbad81'],
  ]
  for (const [end, crash, buffer] of expected) {
    const result = boot({ ...seedMachine, map: withBorder('msi-h61m-p23-8g', 0xbad80000, end) })
    assert.equal(ending(result), crash)
    assert.deepEqual(buffers(result), [buffer])
    assert.equal(result.holder?.slot, Number(result.pfn) - 0xbac00)
  }
})

test('v_end of the log of this board, 356 MiB: not the frame of the seed', () => {
  const result = boot({ ...seedMachine, vEnd: 0x16400000 })
  assert.equal(ending(result), 'pin 0xbacc7 in call 1')
})

test('without the islands above the block nothing is pushed down, and B boots what it can', () => {
  // The last region then ends with the buffer: 0xbad80 mod 512 = 384 pages above a region's start, more than 136.
  const without = withBorder('msi-h61m-p23-8g', 0, 0)
  const entries = without.entries.filter((e) => e.start !== 0xbadf4000 && e.start !== 0xbae7f000)
  const result = boot({ ...seedMachine, map: { ...without, entries }, memory: 0xbb000 })
  assert.equal(ending(result), 'booted')
  assert.equal(buffers(result)[0], '0xba7a5..0xbacf8..0xbad80')
})

test('were the whole buffer reserved, C0 would not fault: the tail would be lost, not handed out', (t) => {
  const ends = new Map([
    [0xbacf8000, 0xbad80000],
    [0x1ac360000, 0x1acb65000],
  ])
  const reserve = Memblock.prototype.reserve
  t.after(() => mock.restoreAll())
  mock.method(Memblock.prototype, 'reserve', function (this: Memblock, start: number, end: number) {
    return reserve.call(this, start, ends.get(end) ?? end)
  })
  const result = boot({ linux: 'C0' })
  assert.equal(ending(result), 'booted')
  // Five pages below the second buffer instead of five from its tail.
  assert.deepEqual(result.nodeData, { base: '0x1ab757000', end: '0x1ab75c000' })
})

test('the same boot twice is the same, and so is one with somebody watching', () => {
  const first = boot({ linux: 'B' })
  let events = 0
  const watched = boot({ linux: 'B' }, () => events++)
  assert.ok(events > 1000)
  assert.deepEqual(watched, first)
})

test("with the firmware's map Xen keeps two pages of the APICs for itself, and dom0's memory ends two pages lower", () => {
  const lastPfn = (firmwareMap: boolean): string | undefined =>
    boot({ linux: 'D', firmwareMap }).console.find((line) => line.startsWith('last_pfn = 0x27'))
  assert.equal(lastPfn(false), 'last_pfn = 0x27fbdc max_arch_pfn = 0x400000000')
  assert.equal(lastPfn(true), 'last_pfn = 0x27fbda max_arch_pfn = 0x400000000')
})
