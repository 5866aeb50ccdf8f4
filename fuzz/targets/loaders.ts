import { gzipSync, zstdCompressSync } from 'node:zlib'
import { BadInput } from '../../src/bits/bad-input.ts'
import { readKallsyms } from '../../src/guest/symbols/kallsyms.ts'
import { readSystemMap, SymbolTable } from '../../src/guest/symbols/symbol-table.ts'
import { Memory } from '../../src/machine/memory.ts'
import { buildDom0Machine } from '../../src/run/kernel/dom0-machine.ts'
import { buildKernelMachine, type KernelOptions } from '../../src/run/kernel/kernel-machine.ts'
import { unpackInitrd, unpackKernel } from '../../src/toolstack/image/bzimage.ts'
import type { Random } from '../../test/tools/random.ts'
import { FORMS, manyMarkers, names, VA } from '../../test/tools/tiny-kallsyms.ts'
import { bzImage, kernelCode, speaking, tinyKernel, word } from '../../test/tools/tiny-kernel.ts'
import { mutateBytes, mutateText } from '../mutate.ts'
import { inputText, type Target, textInput } from '../target.ts'
import { LZMA, PACKED_BYTES, XZ } from './packed.ts'

/** Kernels and initrds: what is read before anything runs, and the first steps of what does. */

const GROUP = 'loaders'
const MEMORY_BYTES = 2 ** 26
let memory: Memory | null = null

/** Read a kernel, put it into a machine, and let it take some steps. */
function bootFile(bytes: Uint8Array, ramdisk: Uint8Array | null): string {
  memory ??= new Memory(MEMORY_BYTES)
  const options = {
    kernel: { name: 'kernel', bytes },
    ...(ramdisk === null ? {} : { ramdisk: { name: 'initrd', bytes: ramdisk } }),
    memory: 1500,
  }
  startDom0(options, memory)
  const { guest } = buildKernelMachine(
    options,
    () => {},
    () => {},
    memory,
  )
  guest.whenIdle = 'return'
  return guest.run(500)
}

/** The same as dom0: what it comes to is no matter, as long as it is told. */
function startDom0(options: KernelOptions, memory: Memory): void {
  try {
    const { guest } = buildDom0Machine(
      { ...options, dom0: { map: 'xen416-qemu-tcg-2gb' } },
      () => {},
      () => {},
      memory,
    )
    guest.whenIdle = 'return'
    guest.run(500)
  } catch (error) {
    if (!(error instanceof BadInput)) throw error
  }
}

const CODE = kernelCode(speaking('hello\n', 0))

/** Kernels of all sorts of notes: a hypercall page, a p2m list of its own, an initrd by its frame. */
const KERNELS: readonly Buffer[] = [
  tinyKernel(CODE),
  tinyKernel(CODE, { notes: { 2: word(0xffff_ffff_8010_0000n), 15: word(0xffff_8800_0000_0000n) } }),
  tinyKernel(CODE, {
    notes: {
      4: word(0n),
      6: Buffer.from('linux\0'),
      16: word(1n),
      10: Buffer.from('!writable_page_tables|pae_pgdir_above_4gb\0'),
    },
  }),
  tinyKernel(CODE, { notes: { 1: null, 3: null, 8: null } }),
  withSections(),
]

/** Notes that only a section has, named by a table of names. */
function withSections(): Buffer {
  const plain = tinyKernel(CODE)
  const kernel = Buffer.from(plain)
  // The second program header is no note's any more: sections say where the notes are.
  kernel.writeUInt32LE(0, 64 + 56)
  const [offset, bytes] = [kernel.readBigUInt64LE(64 + 56 + 8), kernel.readBigUInt64LE(64 + 56 + 32)]
  const names = Buffer.from('\0.note.Xen\0__xen_guest\0.shstrtab\0')
  const legacy = Buffer.from('GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,LOADER=generic\0')
  const at = kernel.length
  const section = (name: number, type: number, from: bigint, length: bigint): Buffer => {
    const header = Buffer.alloc(64)
    header.writeUInt32LE(name, 0)
    header.writeUInt32LE(type, 4)
    header.writeBigUInt64LE(from, 24)
    header.writeBigUInt64LE(length, 32)
    return header
  }
  const sections = [
    section(0, 0, 0n, 0n),
    section(1, 7, offset, bytes),
    section(11, 1, BigInt(at), BigInt(legacy.length)),
    section(23, 3, BigInt(at + legacy.length), BigInt(names.length)),
  ]
  const whole = Buffer.concat([kernel, legacy, names, ...sections])
  whole.writeBigUInt64LE(BigInt(at + legacy.length + names.length), 40)
  whole.writeUInt16LE(64, 58)
  whole.writeUInt16LE(sections.length, 60)
  whole.writeUInt16LE(3, 62)
  return whole
}

const elf: Target = {
  name: 'elf',
  group: GROUP,
  about: "ELF images and their notes, sections and segments, and the guest's first steps",
  cut: 'bytes',
  seeds: () => KERNELS,
  make: (random) => mutateElf(random.pick(KERNELS), random),
  run: (input) => bootFile(input, null),
}

/** Anywhere; or in the headers, where the numbers are. */
function mutateElf(file: Uint8Array, random: Random): Uint8Array {
  if (random.once(3)) return mutateBytes(file, random)
  const headers = 64 + 2 * 56
  const head = mutateBytes(file.subarray(0, headers), random)
  // A note's length, or the last headers, that of sections.
  const rest = random.once(3) ? mutateBytes(file.subarray(headers), random) : file.subarray(headers)
  return Buffer.concat([head, rest])
}

/** lz4's old form with nothing packed: literals only. */
function lz4(content: Uint8Array): Uint8Array {
  const length: number[] = [0xf0]
  let left = content.length - 15
  for (; left >= 255; left -= 255) length.push(255)
  length.push(left)
  const block = Buffer.concat([Uint8Array.from(length), content])
  const head = Buffer.alloc(8)
  head.writeUInt32LE(0x184c2102, 0)
  head.writeUInt32LE(block.length, 4)
  return Buffer.concat([head, block])
}

const KERNEL = KERNELS[0]
const PACKED: readonly Uint8Array[] = [
  gzipSync(KERNEL),
  bzImage(gzipSync(KERNEL), null),
  bzImage(zstdCompressSync(KERNEL), KERNEL.length),
  bzImage(lz4(KERNEL), KERNEL.length),
  bzImage(Buffer.from(XZ, 'base64'), PACKED_BYTES),
  bzImage(Buffer.from(LZMA, 'base64'), PACKED_BYTES),
  bzImage(KERNEL, null),
]

const bzimage: Target = {
  name: 'bzimage',
  group: GROUP,
  about: 'bzImages, and what is packed in them by gzip, xz, lzma, lz4 and zstd',
  cut: 'bytes',
  seeds: () => PACKED,
  make: (random) => mutateBytes(random.pick(PACKED), random),
  run: (input) => bootFile(unpackKernel(input, 'bzImage'), null),
}

const initrd: Target = {
  name: 'initrd',
  group: GROUP,
  about: 'initrds, plain and packed',
  cut: 'bytes',
  seeds: () => [gzipSync(Buffer.alloc(10_000, 'x')), Buffer.from('070701')],
  make: (random) => mutateBytes(gzipSync(Buffer.alloc(random.pick([1, 5000, 3 << 20]), 'initrd')), random),
  run: (input) => `${unpackInitrd(input, 'initrd', 2 ** 24).length} ${bootFile(KERNEL, input)}`,
}

/** Kernels that carry symbols, in every form that there was: found by nothing but how they look. */
const SYMBOLS: readonly Buffer[] = [
  ...FORMS.map(([, parts]) => Buffer.concat([Buffer.alloc(64, 0xcc), ...parts])),
  manyMarkers(300),
]

const kallsyms: Target = {
  name: 'kallsyms',
  group: GROUP,
  about: "a kernel's own symbols, looked for in its file",
  cut: 'bytes',
  seeds: () => SYMBOLS,
  make: (random) => mutateBytes(random.pick(SYMBOLS), random),
  run(input) {
    const symbols = readKallsyms(input) ?? new SymbolTable([])
    return `${symbols.size} ${symbols.text(VA + 0x45) ?? 'none'}`
  },
}

const systemMap: Target = {
  name: 'system-map',
  group: GROUP,
  about: 'System.map files',
  cut: 'lines',
  seeds: () => [textInput(SYSTEM_MAP)],
  make: (random) => textInput(mutateText(SYSTEM_MAP, random)),
  run(input) {
    const symbols = readSystemMap(inputText(input))
    return `${symbols?.size} ${symbols?.toSystemMap().length} ${symbols?.text(VA + 5) ?? 'none'}`
  },
}

const SYSTEM_MAP = names
  .map((name, i) => `${(BigInt(VA + i * 64) | (0xffffn << 48n)).toString(16)} T ${name}`)
  .join('\n')

export const LOADERS: readonly Target[] = [elf, bzimage, initrd, kallsyms, systemMap]
