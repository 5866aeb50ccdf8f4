import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadInput } from '../../src/bits/bad-input.ts'
import { Memory } from '../../src/machine/memory.ts'
import { Walk, walk } from '../../src/machine/vcpu/mmu.ts'
import { RSI, RSP, type Vcpu } from '../../src/machine/vcpu/vcpu.ts'
import { reportFrame } from '../../src/run/ask/frame-report.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import { buildKernelMachine } from '../../src/run/kernel/kernel-machine.ts'
import { readImage } from '../../src/toolstack/image/image.ts'
import { layoutDomU } from '../../src/toolstack/layouts/domu.ts'
import { BASE, kernelOf, TEXT, type TinyOptions, tinyKernel, word } from '../tools/tiny-kernel.ts'

const VA = Number(BigInt.asUintN(48, BASE))
const PAGES = 8192
const P2M = 0x80_0000_0000n
/** What Linux asks for today: its p2m list elsewhere, its initrd unmapped. */
const MODERN = { 15: word(P2M), 16: word(1n) }

const machineOf = (options: TinyOptions, initrd: Uint8Array | null, memory = PAGES) => {
  const { xen, start, layout } = buildKernelMachine(
    {
      kernel: { name: 'k', bytes: kernelOf('stay: jmp stay', options) },
      ...(initrd === null ? {} : { ramdisk: { name: 'i', bytes: initrd } }),
      memory,
      append: 'console=hvc0 quiet',
    },
    () => {},
    () => {},
    new Memory(256 << 20),
  )
  assert.ok(layout)
  return { xen, start, layout }
}

const load64 = (vcpu: Vcpu, va: number): bigint => {
  const lo = vcpu.load64(va)
  return (BigInt(vcpu.hi) << 32n) | BigInt(lo)
}

test('everything follows the kernel, in the order of the toolstack', () => {
  const image = readImage(tinyKernel(Buffer.alloc(0x1000), { room: 0x2800 }))
  const layout = layoutDomU(image, 5000, PAGES)
  // Kernel to 0x104, two pages of initrd, 16 of p2m list, three pages, four tables and one more L1, the stack.
  assert.equal(layout.initrd?.pfn, 0x104)
  assert.equal(layout.p2mList.pfn, 0x106)
  assert.equal(layout.startInfo, 0x116)
  assert.deepEqual([layout.xenstore, layout.console], [0x117, 0x118])
  const [mapping] = layout.mappings
  assert.equal(mapping.tables[0].pfn, 0x119)
  assert.deepEqual(
    mapping.tables.map(({ level, pfn, count }) => [level, pfn, count]),
    [
      [4, 0x119, 1],
      [3, 0x11a, 1],
      [2, 0x11b, 1],
      [1, 0x11c, 2],
    ],
  )
  assert.equal(layout.stack, VA + 0x11f * 4096)
  assert.equal(mapping.pages, 0x400)
})

test('the mapping grows by 4 MiB when less than 512 KiB would be left', () => {
  const mapped = (room: number): number => {
    const image = readImage(tinyKernel(Buffer.alloc(0x1000), { room }))
    return layoutDomU(image, 0, PAGES).mappings[0].pages
  }
  // 16 pages of list, 3, 5 tables, the stack and 128 pages of slack end at 0x400 behind a kernel that ends at 0x367.
  const last = (0x367 - 0x101) * 0x1000
  assert.equal(mapped(last), 0x400)
  assert.equal(mapped(last + 0x1000), 0x800)
})

test('a p2m list of its own place and an unmapped initrd lie behind the mapping', () => {
  const initrd = Buffer.from('initrd '.repeat(2000))
  const { xen, start, layout } = machineOf({ notes: MODERN, room: 0x5000 }, initrd)
  const { vcpu } = start
  assert.equal(layout.mappings[0].pages, 0x400)
  assert.equal(layout.initrd?.pfn, 0x400)
  assert.equal(layout.p2mList.pfn, 0x404)
  // 16 pages of list, then its own L3, L2 and L1.
  assert.equal(layout.p2mList.frames, 19)
  assert.equal(layout.end, 0x404 + 19)
  const info = VA + layout.startInfo * 4096
  assert.equal(load64(vcpu, info + 104), P2M)
  assert.equal(load64(vcpu, info + 112), 0x400n)
  assert.equal(load64(vcpu, info + 120), BigInt(initrd.length))
  assert.deepEqual([load64(vcpu, info + 1152), load64(vcpu, info + 1160)], [0x404n, 19n])
  assert.equal(vcpu.load32(info + 48), 8 | 16)
  // The list says which frames the guest has, and reaches all of them.
  const mfn = Number(load64(vcpu, Number(P2M) + 0x400 * 8))
  assert.equal(xen.memory.u8[xen.memory.frameWords(mfn) * 4], 'i'.charCodeAt(0))
  assert.equal(walk(xen.memory, vcpu.root, VA + 0x400 * 4096, new Walk()).missing > 0, true)
  assert.deepEqual(auditMachine(xen), [])
})

test('a guest of old finds its initrd and its p2m list mapped; all counts are right', () => {
  const initrd = Buffer.from('old')
  const { xen, start, layout } = machineOf(
    { notes: { 2: word(BASE + TEXT + 0x1000n) }, room: 0x3000 },
    initrd,
  )
  const { vcpu } = start
  const info = VA + layout.startInfo * 4096
  const magic = Array.from({ length: 16 }, (_, i) => vcpu.load8(info + i))
  assert.equal(Buffer.from(magic).toString('latin1'), 'xen-3.0-x86_64\0\0')
  assert.equal(load64(vcpu, info + 32), BigInt(PAGES))
  assert.equal(vcpu.load32(info + 48), 16)
  assert.equal(load64(vcpu, info + 88), BASE + BigInt(layout.mappings[0].tables[0].pfn * 4096))
  assert.equal(load64(vcpu, info + 96), 5n)
  const start112 = Number(BigInt.asUintN(48, load64(vcpu, info + 112)))
  assert.equal(vcpu.load8(start112), 'o'.charCodeAt(0))
  assert.equal(vcpu.load32(info + 64), 1)
  assert.equal(vcpu.load32(info + 80), 2)
  // The page of hypercalls: push rcx, push r11, mov $number, %eax.
  const page = VA + Number(TEXT) + 0x1000
  assert.equal(vcpu.load32(page + 29 * 32), 0xb8534151)
  assert.equal(vcpu.load8(page + 29 * 32 + 4), 29)
  assert.deepEqual(auditMachine(xen), [])
})

test('frames have the types that pinning has given them', () => {
  const { xen, start, layout } = machineOf({ notes: MODERN }, null)
  const { vcpu } = start
  const report = (pfn: number) => {
    const found = reportFrame(xen, xen.m2p.find(pfn, start.domain.owner))
    assert.ok(found)
    return [found.type, found.typeCount, found.refCount, found.pinned]
  }
  const [first, list] = layout.mappings
  assert.deepEqual(report(first.tables[0].pfn), ['l4', 2, 4, true])
  assert.deepEqual(report(first.tables[0].pfn + 1), ['l3', 1, 3, false])
  assert.deepEqual(report(first.tables[0].pfn + 3), ['l1', 1, 3, false])
  assert.deepEqual(report(list.tables[0].pfn), ['l3', 1, 2, false])
  assert.deepEqual(report(layout.p2mList.pfn), ['writable', 1, 2, false])
  assert.deepEqual(report((layout.stack - VA) / 4096 - 1), ['writable', 1, 2, false])
  assert.deepEqual(report(layout.end), ['writable', 0, 1, false])
  assert.equal(vcpu.regs[RSI * 2], (VA + layout.startInfo * 4096) >>> 0)
  assert.equal(vcpu.regs[RSP * 2], layout.stack >>> 0)
})

const refusal = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    assert.ok(error instanceof BadInput, String(error))
    return error.message
  }
  return ''
}

test('what does not fit is said', () => {
  assert.match(
    refusal(() => machineOf({}, null, 512)),
    /2 MiB of memory are too little/,
  )
  assert.match(
    refusal(() => machineOf({}, Buffer.alloc(33 << 20))),
    /more than the guest's memory of 32 MiB/,
  )
  assert.match(
    refusal(() => machineOf({}, Buffer.alloc(31 << 20))),
    /too little.* initrd 31 MiB/,
  )
  assert.match(
    refusal(() => machineOf({ room: 3 * 2 ** 30 }, null)),
    /do not fit|lies nowhere/,
  )
})

test('images that are none for Xen are told why', () => {
  const why = (file: Uint8Array): string => refusal(() => readImage(file, 'k'))
  const good = tinyKernel(Buffer.alloc(64))
  assert.match(why(tinyKernel(Buffer.alloc(64), { notes: { 5: null } })), /no notes of Xen's/)
  const old = tinyKernel(Buffer.alloc(64), { notes: { 5: Buffer.from('xen-2.0\0') } })
  assert.match(why(old), /"xen-2.0", not xen-3.0/)
  const physical = Buffer.from('!auto_translated_physmap\0')
  assert.match(why(tinyKernel(Buffer.alloc(64), { notes: { 10: physical } })), /no PV kernel/)
  const entry = tinyKernel(Buffer.alloc(64), { notes: { 1: word(BASE) } })
  assert.match(why(entry), /its entry lies outside/)
  const small = Buffer.from(good)
  small[4] = 1
  assert.match(why(small), /a 32-bit kernel/)
  const arm = Buffer.from(good)
  arm[18] = 183
  assert.match(why(arm), /not for x86-64/)
  for (let length = 0; length < good.length - 1; length += 7) {
    assert.match(why(good.subarray(0, length)), /^k: [^\n]+$/, String(length))
  }
})

test('the section of former times says the same as notes', () => {
  const strings = Buffer.from('\0__xen_guest\0.shstrtab\0')
  const guest = Buffer.from(
    'GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,LOADER=generic,HYPERCALL_PAGE=0x101,ELF_PADDR_OFFSET=0\0',
  )
  const elf = tinyKernel(Buffer.alloc(0x2000), { notes: { 1: null, 3: null, 5: null, 8: null } })
  const section = (name: number, type: number, offset: number, bytes: number): Buffer => {
    const header = Buffer.alloc(64)
    header.writeUInt32LE(name, 0)
    header.writeUInt32LE(type, 4)
    header.writeBigUInt64LE(BigInt(offset), 24)
    header.writeBigUInt64LE(BigInt(bytes), 32)
    return header
  }
  const at = elf.length
  const headers = [section(1, 1, at, guest.length), section(13, 3, at + guest.length, strings.length)]
  const file = Buffer.concat([elf, guest, strings, ...headers])
  file.writeBigUInt64LE(BigInt(at + guest.length + strings.length), 40)
  file.writeUInt16LE(2, 60)
  file.writeUInt16LE(1, 62)
  const image = readImage(file, 'k')
  assert.equal(image.virtBase, VA)
  assert.equal(image.hypercallPage, VA + 0x10_1000)
  assert.equal(image.entry, VA + Number(TEXT))
})
