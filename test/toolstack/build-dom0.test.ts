import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadInput } from '../../src/bits/bad-input.ts'
import { Memory } from '../../src/machine/memory.ts'
import { RSI, RSP, type Vcpu } from '../../src/machine/vcpu/vcpu.ts'
import { reportFrame } from '../../src/run/ask/frame-report.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import type { Dom0Options } from '../../src/run/kernel/dom0-host.ts'
import { buildDom0Machine } from '../../src/run/kernel/dom0-machine.ts'
import { PROBE } from '../../src/script/layout.ts'
import { buildDom0, usualDom0Pages } from '../../src/toolstack/build-dom0.ts'
import { type Image, readImage } from '../../src/toolstack/image/image.ts'
import { layoutDom0 } from '../../src/toolstack/layouts/dom0.ts'
import { xenVersion } from '../../src/xen/versions/index.ts'
import { Xen } from '../../src/xen/xen.ts'
import { recordings } from '../tools/recordings.ts'
import { sampled } from '../tools/sample.ts'
import { BASE, kernelOf, type TinyOptions, tinyKernel, word } from '../tools/tiny-kernel.ts'

const VA = Number(BigInt.asUintN(48, BASE))
const P2M = 0x80_0000_0000n
/** What Linux asks for today: its p2m list elsewhere, its initrd unmapped. */
const MODERN = { 15: word(P2M), 16: word(1n) }

const machineOf = (
  options: TinyOptions,
  more: { initrd?: Uint8Array; memory: number; xen?: string; dom0?: Partial<Dom0Options> },
) => {
  const { initrd, memory, xen, dom0 } = more
  return buildDom0Machine(
    {
      kernel: { name: 'k', bytes: kernelOf('stay: jmp stay', options) },
      ...(initrd === undefined ? {} : { ramdisk: { name: 'i', bytes: initrd } }),
      ...(xen === undefined ? {} : { xen }),
      memory,
      append: 'console=hvc0',
      dom0: { map: 'xen416-qemu-tcg-2gb', ...dom0 },
    },
    () => {},
    () => {},
    new Memory(256 << 20),
  )
}

const load64 = (vcpu: Vcpu, va: number): number => {
  const lo = vcpu.load64(va)
  return vcpu.hi * 2 ** 32 + lo
}

/** Every pfn's frame as the list in the guest's memory has it, and that the M2P says the same. */
function listOf({ xen, start, layout, nrPages }: ReturnType<typeof machineOf>): number[] {
  assert.ok(layout)
  const frames = Array.from({ length: nrPages }, (_, pfn) => load64(start.vcpu, layout.p2mList.va + pfn * 8))
  assert.equal(new Set(frames).size, nrPages)
  for (const [pfn, mfn] of frames.entries()) assert.equal(xen.m2p.get(mfn), pfn)
  return frames
}

/** What the probe prints of its start_info, and the frames of pages that a recording names. */
type Recorded = {
  readonly domain?: string
  readonly boot?: string
  readonly syms?: Record<string, { readonly mfn: string; readonly pfn: string }>
}

/** The probe, as far as a builder looks at it: everything up to its window's end. */
const PROBE_IMAGE: Image = {
  entry: PROBE.code,
  virtBase: PROBE.base,
  start: PROBE.code,
  end: PROBE.base + 0x50_0000,
  segments: [],
  hypercallPage: null,
  initP2m: null,
  unmappedInitrd: false,
  canBeDom0: true,
}

test('the dom0 of every recording is laid out as real Xen has laid it out', () => {
  const heads = ['oracle', 'oracle-4.14', 'oracle-4.20']
    .flatMap((folder) => recordings(folder))
    .map(({ text }) => JSON.parse(text.slice(0, text.indexOf('\n'))) as Recorded)
    .filter(({ domain, boot, syms }) => domain !== 'domU' && boot !== undefined && syms?.KL4 !== undefined)
  assert.ok(heads.length > 100, `${heads.length}`)
  const told = /nr_pages=(\w+) flags=(\w+) pt_base=(\w+) nr_pt=(\w+) .* mod=(\w+)\+(\w+)$/
  for (const { boot, syms } of sampled(heads, 8)) {
    const found = told.exec(boot ?? '')
    assert.ok(found, boot)
    const [nrPages, flags, tables, nrTables, module, moduleBytes] = found
      .slice(1)
      .map((n) => Number(BigInt.asUintN(48, BigInt(n))))
    const layout = layoutDom0(PROBE_IMAGE, moduleBytes, nrPages)
    const [{ tables: runs }] = layout.mappings
    assert.equal(flags, layout.flags | 3)
    assert.equal(PROBE.base + runs[0].pfn * 4096, tables)
    assert.equal(
      runs.reduce((sum, { count }) => sum + count, 0),
      nrTables,
    )
    assert.equal(PROBE.base + (layout.initrd?.pfn ?? 0) * 4096, module)
    // Where the frames of the first block are, seen from its L4's: the initrd's are others, and move those behind it.
    const xen = new Xen(
      xenVersion('4.17'),
      { ram: [{ start: 0, end: 0xffe0 }], map: [] },
      new Memory(96 << 20),
    )
    const start = buildDom0(xen, {
      image: PROBE_IMAGE,
      imageName: 'probe',
      initrd: new Uint8Array(moduleBytes),
      commandLine: '',
      nrPages,
    })
    const frameOf = (pfn: number): number => load64(start.vcpu, layout.p2mList.va + pfn * 8)
    const root = { pfn: runs[0].pfn, mfn: Number.parseInt(syms?.KL4.mfn ?? '', 16) }
    for (const [name, { pfn, mfn }] of Object.entries(syms ?? {})) {
      const n = Number.parseInt(pfn, 16)
      const isModule = n >= layout.module.pfn && n < layout.module.pfn + layout.module.pages
      if (pfn === '-' || n >= layout.mapped || isModule) continue
      assert.equal(frameOf(n) - frameOf(root.pfn), Number.parseInt(mfn, 16) - root.mfn, name)
    }
  }
})

test('a kernel of old: the initrd and its own frames in the midst, the list mapped, and what start_info says', () => {
  const initrd = new Uint8Array(5000).fill(105)
  const machine = machineOf({ room: 0x3800 }, { initrd, memory: 0x4000 })
  const { xen, start, layout } = machine
  const { vcpu, domain } = start
  assert.ok(layout)
  // Kernel to 0x104, two pages of initrd, 32 of p2m list, start_info, four tables and an L1 more, the stack.
  assert.deepEqual(layout.initrd, { pfn: 0x104, bytes: 5000, isMapped: true })
  assert.equal(layout.p2mList.va, VA + 0x106_000)
  assert.equal(layout.startInfo, 0x126)
  assert.deepEqual(
    layout.mappings[0].tables.map(({ level, pfn, count }) => [level, pfn, count]),
    [
      [4, 0x127, 1],
      [1, 0x128, 1],
      [2, 0x129, 1],
      [3, 0x12a, 1],
      [1, 0x12b, 1],
    ],
  )
  assert.equal(layout.block, 0x400)
  assert.deepEqual([domain.id, domain.totPages, domain.maxPages], [0, 0x4000, 2 ** 32 - 1])
  const info = vcpu.number(RSI)
  assert.equal((info + 2 ** 48) % 2 ** 48, VA + 0x126_000)
  assert.equal((vcpu.number(RSP) + 2 ** 48) % 2 ** 48, VA + 0x12d_000)
  const field = (offset: number): number => load64(vcpu, VA + 0x126_000 + offset)
  assert.deepEqual([field(32), vcpu.load32(VA + 0x126_030)], [0x4000, 0x303])
  // Nobody has a xenstore or a ring for dom0, and nothing is said of a screen.
  assert.deepEqual([56, 64, 72, 80].map(field), [0, 0, 0, 0])
  assert.deepEqual(
    [field(96), field(112) % 2 ** 48, field(120)],
    [5, (VA % 2 ** 48) + 0x104_000, 5000].map((n, i) => (i === 1 ? field(112) % 2 ** 48 : n)),
  )
  assert.deepEqual([field(1152), field(1160)], [0x402, 0])
  const frames = listOf(machine)
  // In this debug build the block goes on downwards from its end behind v_end, and the chunks come from the last pfn down.
  const first = frames[0]
  assert.equal(frames[0x103], first + 0x103)
  assert.equal(frames[0x106], first + 0x104)
  assert.equal(frames[0x400], first + 0x3fe)
  assert.equal(frames[0x401], first + 0x3ff)
  assert.equal(frames[0x3fff] - frames[0x3ffe], -1)
  assert.equal(vcpu.load8(VA + 0x104_000), 105)
  assert.deepEqual(auditMachine(xen), [])
  const type = (pfn: number) => {
    const frame = reportFrame(xen, frames[pfn])
    return [frame?.type, frame?.typeCount, frame?.refCount, frame?.pinned]
  }
  assert.deepEqual(type(0x127), ['l4', 2, 4, true])
  assert.deepEqual(type(0x128), ['l1', 1, 3, false])
  assert.deepEqual(type(0x104), ['writable', 1, 2, false])
  assert.deepEqual(type(0x3fff), ['none', 0, 1, false])
})

test('a release build numbers all frames upwards', () => {
  const frames = listOf(machineOf({ room: 0x2800 }, { memory: 0x4000, xen: '4.17-release' }))
  assert.equal(frames[0x3fff] - frames[0x3ffe], 1)
})

test('a kernel of today: initrd and p2m list behind the block, the list by 2 MiB as far as it fills them', () => {
  const initrd = new Uint8Array(5000).fill(105)
  const machine = machineOf({ notes: MODERN, room: 0x2800 }, { initrd, memory: 0x60100 })
  const { xen, start, layout } = machine
  assert.ok(layout)
  assert.equal(layout.block, 0x400)
  assert.deepEqual(layout.initrd, { pfn: 0x400, bytes: 5000, isMapped: false })
  assert.deepEqual(
    layout.mappings
      .slice(1)
      .map(({ pfn, pages, isLarge, tables }) => [
        pfn,
        pages,
        isLarge,
        tables.map(({ level, pfn }) => [level, pfn]),
      ]),
    [
      [
        0x404,
        0x200,
        true,
        [
          [3, 0x402],
          [2, 0x403],
        ],
      ],
      [0x605, 0x101, false, [[1, 0x604]]],
    ],
  )
  const field = (offset: number): number => load64(start.vcpu, VA + layout.startInfo * 4096 + offset)
  assert.deepEqual(
    [start.vcpu.load32(VA + layout.startInfo * 4096 + 48), field(112), field(120)],
    [0x308 + 3, 0x400, 5000],
  )
  assert.deepEqual([field(104), field(1152), field(1160)], [Number(P2M), 0x402, 0x304])
  const frames = listOf(machine)
  assert.equal(frames[0x404] % 0x200, 0)
  assert.equal(frames[0x404 + 0x1ff], frames[0x404] + 0x1ff)
  assert.equal(xen.memory.u8[xen.memory.frameWords(frames[0x400]) * 4], 105)
  assert.deepEqual(auditMachine(xen), [])
  const of = (pfn: number) => reportFrame(xen, frames[pfn])
  assert.deepEqual([of(0x404)?.type, of(0x404)?.typeCount, of(0x404)?.refCount], ['writable', 1, 2])
  assert.deepEqual([of(0x402)?.type, of(0x402)?.typeCount, of(0x402)?.refCount], ['l3', 1, 2])
  assert.deepEqual([of(0x400)?.type, of(0x400)?.refCount], ['none', 1])
})

test('the memory of a dom0 for which nothing is said', () => {
  const image = readImage(tinyKernel(Buffer.alloc(0x1000)))
  // Xen keeps a sixteenth, 128 MiB at most.
  assert.equal(usualDom0Pages(0x8000, image, 0), 0x7800)
  assert.equal(usualDom0Pages(0x80_0000, image, 0), 0x80_0000 - 0x8000)
  // List and tables of about its size have 2 GiB above the virtual base, or the list is no matter.
  const clipped = usualDom0Pages(0x800_0000, image, 0)
  assert.ok(clipped < 0x800_0000 && clipped > 0x7f0_0000, clipped.toString(16))
  const modern = readImage(tinyKernel(Buffer.alloc(0x1000), { notes: MODERN }))
  assert.equal(usualDom0Pages(0x1000_0000, modern, 0), 0x1000_0000 - 0x8000)
})

test('what does not fit is said', () => {
  const wrong = (says: RegExp, run: () => unknown): void => {
    assert.throws(run, (error) => error instanceof BadInput && says.test(error.message))
  }
  const of =
    (options: TinyOptions, memory: number, dom0: Partial<Dom0Options> = {}) =>
    () =>
      machineOf(options, { memory, dom0 })
  wrong(/4 MiB of memory are too little: dom0 needs 8 MiB/, of({ room: 0x280_000 }, 0x400))
  wrong(/too large for the machine/, of({}, 0x90000))
  // The first MiB is RAM, and Xen's.
  wrong(/the machine has \d+ frames of RAM too few for dom0/, of({}, 0x7fe80))
  wrong(/cannot be dom0/, of({ notes: { 17: word(1n) } }, 0x4000))
  wrong(/where addresses are Xen's/, of({ notes: { 15: word(0xffff_8000_0000_0000n) } }, 0x4000))
  wrong(/where addresses are used twice/, of({ notes: { 15: word(BASE - 0x1000n) } }, 0x70000))
  wrong(/no map is named/, of({}, 0x4000, { map: 'nowhere' }))
  const entries = [{ start: 0x10_0000, end: 0x11_0000, type: 'usable' }] as const
  wrong(
    /no room for Xen/,
    of({}, 0x4000, { map: { name: 'm', kind: 'host', partial: false, source: '', entries } }),
  )
})
