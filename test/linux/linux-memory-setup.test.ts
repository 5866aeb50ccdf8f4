import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveGeneration } from '../../src/linux/generations.ts'
import { ramLimits, trimBiosRange } from '../../src/linux/memory/e820.ts'
import { applyMapOptions, memparse } from '../../src/linux/memory/memory-map-options.ts'
import { type MemorySetup, xenMemorySetup } from '../../src/linux/memory/xen-memory-setup.ts'
import { deniedMmio, hostMapForDom0 } from '../../src/toolstack/machine-map.ts'
import type { E820Entry, E820Type } from '../../src/xen/abi.ts'
import { recorded, recordings } from '../tools/recordings.ts'

/** What a recorded boot of a dom0 says. */
type Boot = {
  name: string
  generation: string
  xen: string
  nrPages: number
  append: string
  machine: E820Entry[]
  guest: E820Entry[]
  lines: string[]
}

/** `0x0-0x9fc00 usable`: bytes, end exclusive. */
function entry(text: string): E820Entry {
  const [, start, end, type] = /^(\S+)-(\S+) (.+)$/.exec(text)!
  return { start: Number(start), end: Number(end), type: type as E820Type }
}

function setUp(boot: Boot): MemorySetup {
  const denied = deniedMmio(boot.xen.startsWith('4.17') ? 256 : 1)
  return xenMemorySetup({
    rawMap: hostMapForDom0(boot.machine, denied),
    nrPages: boot.nrPages,
    dom0: true,
    generation: resolveGeneration(boot.generation),
    mfnList: 0x13b9000,
    ptBase: 0x15ba000,
  })
}

function checkBoot(boot: Boot): void {
  const setup = setUp(boot)
  assert.deepEqual(setup.e820, boot.guest, `${boot.name}: the map`)
  const counts = setup.lines.filter((line) => /^(xen_release|released|Set) ?/.test(line))
  const user = applyMapOptions(setup.e820, boot.append)
  const limits = ramLimits(trimBiosRange(user.map).map)
  assert.deepEqual([...counts, ...limits.lines], boot.lines, `${boot.name}: the lines`)
}

type RawEntry = { start: string; end: string; type: E820Type }
const fromRaw = (raw: RawEntry[]): E820Entry[] =>
  raw.map(({ start, end, type }) => ({ start: Number(start), end: Number(end), type }))

test('all recorded boots: the map, the counts, max_pfn and max_low_pfn', () => {
  const { boots } = JSON.parse(recorded('real-boots/boots.json'))
  assert.equal(boots.length, 72)
  for (const boot of boots)
    checkBoot({
      name: boot.name,
      generation: boot.generation,
      xen: boot.xen,
      nrPages: Number(boot.nr_pages),
      append: boot.memmap_option ? `memmap=${boot.memmap_option}` : '',
      machine: fromRaw(boot.machine_e820),
      guest: fromRaw(boot.guest_e820),
      lines: [
        ...boot.lines.filter((line: string) => /^(released|Set) /.test(line)),
        ...boot.lines.filter((line: string) => line.startsWith('last_pfn')).slice(0, 2),
      ],
    })
})

test('whole consoles: every memory line in its order', () => {
  const ours = /^(released|Set \d|BIOS-prov|user-def| Xen: | user: |e820 |last_pfn)/
  let compared = 0
  for (const { path: file, text } of recordings('real-boots/logs')) {
    const console = text.split(/\r?\n/)
    const from = console.findIndex((line) => line.startsWith('Command line: '))
    // A kernel that died before its console leaves Xen's lines only: nothing to compare.
    if (from < 0) continue
    compared++
    const until = console.findIndex((line) => line.startsWith('initial memory mapped'))
    const expected = console.slice(from, until).filter((line) => ours.test(line))
    const machine = console.flatMap((line) => {
      const [, start, end, , last, type] =
        /^\(XEN\) +(?:([0-9a-f]{16}) - ([0-9a-f]{16})|\[([0-9a-f]{16}), ([0-9a-f]{16})\]) \((.*)\)/.exec(
          line,
        ) ?? []
      if (type === undefined) return []
      if (start !== undefined) return [entry(`0x${start}-0x${end} ${type}`)]
      const closed = /\[([0-9a-f]+)/.exec(line)![1]
      return [{ start: Number(`0x${closed}`), end: Number(`0x${last}`) + 1, type: type as E820Type }]
    })
    const nrPages = Number(/\((\d+) pages to be allocated\)/.exec(console.join('\n'))?.[1] ?? 0)
    const p2m = /Phys-Mach map: +([0-9a-f]+)->([0-9a-f]+)/.exec(console.join('\n'))!
    const listed = Number((BigInt(`0x${p2m[2]}`) - BigInt(`0x${p2m[1]}`)) / 8n)
    assert.ok(nrPages <= listed)
    const boot: Boot = {
      name: file,
      generation: 'C',
      xen: /Xen version (\S+)/.exec(console.join('\n'))![1],
      nrPages: listed,
      append: console[from],
      machine,
      guest: [],
      lines: [],
    }
    const setup = setUp(boot)
    const user = applyMapOptions(setup.e820, boot.append)
    const trimmed = trimBiosRange(user.map)
    const lines = [...setup.lines, ...user.lines, ...trimmed.lines, ...ramLimits(trimmed.map).lines]
    assert.deepEqual(lines, expected, file)
  }
  assert.ok(compared >= 6, `${compared} consoles compared`)
})

/** The map of an MSI H61M-P23 of 2011 with 8 GiB: islands of RAM below 0xbb000000, holes above. */
const msi: E820Entry[] = [
  '0x0-0x9ec00 usable',
  '0x9ec00-0xa0000 reserved',
  '0xe0000-0x100000 reserved',
  '0x100000-0x20000000 usable',
  '0x20000000-0x20200000 reserved',
  '0x20200000-0x40000000 usable',
  '0x40000000-0x40200000 reserved',
  '0x40200000-0xbad80000 usable',
  '0xbad80000-0xbadc9000 ACPI NVS',
  '0xbadc9000-0xbadd1000 ACPI data',
  '0xbadd1000-0xbadf4000 reserved',
  '0xbadf4000-0xbadf6000 usable',
  '0xbadf6000-0xbae06000 reserved',
  '0xbae06000-0xbae14000 ACPI NVS',
  '0xbae14000-0xbae3c000 reserved',
  '0xbae3c000-0xbae7f000 ACPI NVS',
  '0xbae7f000-0xbb000000 usable',
  '0xbb800000-0xbfa00000 reserved',
  '0xfed1c000-0xfed40000 reserved',
  '0xff000000-0x100000000 reserved',
  '0x100000000-0x23fe00000 usable',
].map(entry)

const dom0 = { nrPages: 0x1acb65, dom0: true, mfnList: 0x142fb000, ptBase: 0x15061000 }

test('a real board: gaps are released and come back as extra memory at the end', () => {
  const setup = xenMemorySetup({ ...dom0, rawMap: msi, generation: resolveGeneration('B') })
  assert.deepEqual(setup.release, [
    { start: 0xbb000, end: 0xbb800 },
    { start: 0xbfa00, end: 0xfed1c },
    { start: 0xfed40, end: 0xff000 },
  ])
  assert.equal(2048 + 258_844 + 704, 261_596)
  assert.equal(setup.released, 261_596)
  assert.deepEqual(setup.extra, { start: 0x1acb65000, bytes: 0xd3077 * 4096 })
  assert.deepEqual(setup.lines.slice(0, 5), [
    'xen_release_chunk: looking at area pfn bb000-bb800: 2048 pages freed',
    'xen_release_chunk: looking at area pfn bfa00-fed1c: 258844 pages freed',
    'xen_release_chunk: looking at area pfn fed40-ff000: 704 pages freed',
    'released 261596 pages of unused memory',
    'Set 283998 page(s) to 1-1 mapping.',
  ])
  const limits = ramLimits(trimBiosRange(setup.e820).map)
  assert.equal(limits.maxPfn, 0x27fbdc)
  assert.equal(limits.maxLowPfn, 0xbb000)
})

test('under a real Xen the same board loses the pages of two APICs from the gap', () => {
  const rawMap = hostMapForDom0(msi, deniedMmio(1))
  const setup = xenMemorySetup({ ...dom0, rawMap, generation: resolveGeneration('B') })
  assert.equal(setup.released, 261_594)
  assert.equal(ramLimits(setup.e820).maxPfn, 0x27fbda)
})

test('the p2m holds its own list and start info apart: they are reserved in memblock, not in the map', () => {
  const setup = xenMemorySetup({ ...dom0, rawMap: msi, generation: resolveGeneration('B') })
  assert.deepEqual(setup.reservations, [
    { base: 0x142fb000, end: 0x15061000, name: 'XEN START INFO' },
    { base: 0x1acb65000, end: 0x27fbdc000, name: 'XEN EXTRA' },
  ])
  assert.equal(
    setup.e820.some((e) => e.start === 0x142fb000),
    false,
  )
})

test('a domU without a map gets 8 MiB of slack, and rc5 moves them above 4 GiB', () => {
  const domU = { rawMap: null, nrPages: 0x40000, dom0: false, mfnList: 0x2000000, ptBase: 0x2201000 }
  const rc5 = xenMemorySetup({ ...domU, generation: resolveGeneration('B') })
  assert.deepEqual(rc5.extra, { start: 0x1_0000_0000, bytes: 0x800000 })
  assert.equal(rc5.released, 0)
  assert.equal(rc5.identityPages, 0)
  assert.equal(ramLimits(rc5.e820).maxPfn, 0x100800)
  assert.equal(ramLimits(rc5.e820).maxLowPfn, 0x40000)
  const rc4 = xenMemorySetup({ ...domU, generation: resolveGeneration('2.6.39-rc4') })
  assert.equal(ramLimits(rc4.e820).maxPfn, 0x40800)
  assert.throws(() => xenMemorySetup({ ...domU, dom0: true, generation: resolveGeneration('B') }), /BUG/)
})

test('the real EC2 instance of 7.5 GiB: max_pfn is 0x1e0800', () => {
  const domU = { rawMap: null, nrPages: 0x1e0000, dom0: false, mfnList: 0x2c3a000, ptBase: 0x3b3b000 }
  const setup = xenMemorySetup({ ...domU, generation: resolveGeneration('C') })
  assert.deepEqual(setup.e820, [
    { start: 0, end: 0xa0000, type: 'usable' },
    { start: 0xa0000, end: 0x100000, type: 'reserved' },
    { start: 0x100000, end: 0x1e0800000, type: 'usable' },
  ])
  assert.deepEqual(setup.extra, { start: 0x1e0000000, bytes: 0x800000 })
})

test('the domain grows to ten times its size at most', () => {
  const rawMap: E820Entry[] = [{ start: 0, end: 1024 * 2 ** 30, type: 'usable' }]
  const input = { rawMap, nrPages: 0x10000, dom0: true, mfnList: 0, ptBase: 0 }
  const setup = xenMemorySetup({ ...input, generation: resolveGeneration('D') })
  assert.equal(setup.extra.bytes, 9 * 0x10000 * 4096)
})

test('RAM that ends inside a page is cut to the page from 2.6.38 on', () => {
  const rawMap: E820Entry[] = [{ start: 0x100000, end: 0x7fe6d800, type: 'usable' }]
  const input = { rawMap, nrPages: 0x80000, dom0: true, mfnList: 0, ptBase: 0 }
  const end = (linux: string) =>
    xenMemorySetup({ ...input, generation: resolveGeneration(linux) }).e820.findLast(
      (e) => e.start < 2 ** 31,
    )!.end
  assert.equal(end('2.6.37'), 0x7fe6d800)
  assert.equal(end('2.6.38'), 0x7fe6d000)
})

test('gaps of the host map hold what dom0 may not map', () => {
  const map: E820Entry[] = [
    { start: 0, end: 0xbffe0000, type: 'usable' },
    { start: 0xfee00000, end: 0xfee00800, type: 'reserved' },
  ]
  const ranges = (entries: E820Entry[]) => entries.map((e) => `${e.start.toString(16)}-${e.end.toString(16)}`)
  assert.deepEqual(ranges(hostMapForDom0(map, deniedMmio(1))), [
    '0-bffe0000',
    'fec00000-fec01000',
    'fee00000-fee00800',
  ])
  assert.deepEqual(ranges(hostMapForDom0(map, deniedMmio(256, [0xfec00000, 0xfec20000]))), [
    '0-bffe0000',
    'fec00000-fec01000',
    'fec20000-fec21000',
    'fee00000-fee00800',
    'fee01000-fef00000',
  ])
})

test('memparse reads decimal, hexadecimal and octal numbers with a suffix', () => {
  assert.deepEqual(memparse('4M$0xbf900000'), { value: 4 << 20, length: 2 })
  assert.deepEqual(memparse('0xaef000$0xbad10000'), { value: 0xaef000, length: 8 })
  assert.deepEqual(memparse('010k'), { value: 8192, length: 4 })
  assert.deepEqual(memparse('3G'), { value: 3 * 2 ** 30, length: 2 })
  assert.deepEqual(memparse('0'), { value: 0, length: 1 })
  assert.deepEqual(memparse('$4'), { value: 0, length: 0 })
})

test('memmap= and mem= change the map and print it; a shell escape is the same', () => {
  const ram: E820Entry[] = [{ start: 0, end: 0x40000000, type: 'usable' }]
  const hole = [
    { start: 0, end: 0x10000000, type: 'usable' },
    { start: 0x10000000, end: 0x10400000, type: 'reserved' },
    { start: 0x10400000, end: 0x40000000, type: 'usable' },
  ]
  assert.deepEqual(applyMapOptions(ram, 'quiet memmap=4M$256M').map, hole)
  assert.deepEqual(applyMapOptions(ram, 'memmap=4M\\$0x10000000').map, hole)
  assert.deepEqual(applyMapOptions(ram, 'mem=512M').map, [{ start: 0, end: 0x20000000, type: 'usable' }])
  assert.deepEqual(applyMapOptions(ram, 'memmap=exactmap memmap=640K@0 memmap=64K#1M').map, [
    { start: 0, end: 0xa0000, type: 'usable' },
    { start: 0x100000, end: 0x110000, type: 'ACPI data' },
  ])
  assert.deepEqual(applyMapOptions(ram, 'mem=512M').lines, [
    'user-defined physical RAM map:',
    ' user: 0000000000000000 - 0000000020000000 (usable)',
  ])
  assert.deepEqual(applyMapOptions(ram, 'console=hvc0'), { map: ram, userDefined: false, lines: [] })
  assert.deepEqual(applyMapOptions(ram, 'memmap=$4').lines, ["Malformed early option 'memmap'"])
})
