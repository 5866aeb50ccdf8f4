import { PAGE, TWO_32 } from '../bits/address.ts'
import { DOMID } from '../bits/domid.ts'
import { R10, RDI, RDX, RSI, type Vcpu } from '../machine/vcpu/vcpu.ts'
import { E820, type E820Entry, type E820Type, HYPERCALL, MEMORY_OP } from '../xen/abi.ts'
import { kernelVa, SYMBOLS } from './symbols.ts'

/** The hypercalls as the kernel makes them: structures in a page of its own data, numbers in registers. */
const SCRATCH = kernelVa(SYMBOLS.scratch)
/** Entries of {u64, u64, u32} that fit behind the header in the scratch page: Linux's E820MAX is 128. */
const MAX_MAP_ENTRIES = 128

/** update_va_mapping(va, entry, 0): change the entry that maps `va` in the tables in use. */
export function updateVaMapping(vcpu: Vcpu, va: number, lo: number, hi: number): number {
  vcpu.setVa(RDI, va)
  vcpu.set(RSI, lo, hi)
  vcpu.set(RDX, 0)
  return vcpu.hypercall(HYPERCALL.update_va_mapping)
}

/**
 * One mmu_update request: a machine address of an entry, given as frame and slot, and its new value.
 *
 * @param owner whose frame the new entry maps, when it is not the kernel's own
 */
export function mmuUpdate(
  vcpu: Vcpu,
  table: number,
  slot: number,
  lo: number,
  hi: number,
  owner: number = DOMID.SELF,
): number {
  const pointer = table * PAGE + slot * 8
  vcpu.store64(SCRATCH, pointer >>> 0, Math.floor(pointer / TWO_32))
  vcpu.store64(SCRATCH + 8, lo, hi)
  return batch(vcpu, HYPERCALL.mmu_update, owner)
}

/** One operation of mmuext_op on a frame. */
export function mmuextOp(vcpu: Vcpu, command: number, mfn: number): number {
  vcpu.store64(SCRATCH, command, 0)
  vcpu.store64(SCRATCH + 8, mfn >>> 0, Math.floor(mfn / TWO_32))
  vcpu.store64(SCRATCH + 16, 0, 0)
  return batch(vcpu, HYPERCALL.mmuext_op, DOMID.SELF)
}

function batch(vcpu: Vcpu, nr: number, owner: number): number {
  vcpu.setVa(RDI, SCRATCH)
  vcpu.set(RSI, 1)
  vcpu.set(RDX, 0)
  vcpu.set(R10, owner)
  return vcpu.hypercall(nr)
}

/** vm_assist(enable, type). */
export function vmAssistEnable(vcpu: Vcpu, type: number): number {
  vcpu.set(RDI, 0)
  vcpu.set(RSI, type)
  return vcpu.hypercall(HYPERCALL.vm_assist)
}

/** Register handlers for these vectors; their addresses are places in the model's text. */
export function setTrapTable(vcpu: Vcpu, vectors: readonly number[]): number {
  const KERNEL_CS = 0xe033
  vectors.forEach((vector, i) => {
    const handler = kernelVa(SYMBOLS.text + 0x1000 + vector * 16)
    vcpu.store64(SCRATCH + i * 16, vector | (KERNEL_CS << 16), 0)
    vcpu.store64(SCRATCH + i * 16 + 8, handler >>> 0, 0xffffffff)
  })
  vcpu.store64(SCRATCH + vectors.length * 16, 0, 0)
  vcpu.store64(SCRATCH + vectors.length * 16 + 8, 0, 0)
  vcpu.setVa(RDI, SCRATCH)
  return vcpu.hypercall(HYPERCALL.set_trap_table)
}

/** Write text to Xen's console: xen_raw_console_write(). */
export function consoleWrite(vcpu: Vcpu, text: string): number {
  for (let i = 0; i < text.length; i += 4) {
    let word = 0
    for (let b = 0; b < 4; b++) word |= (text.charCodeAt(i + b) & 0xff) << (8 * b)
    vcpu.store32(SCRATCH + i, word >>> 0)
  }
  vcpu.set(RDI, 0)
  vcpu.set(RSI, text.length)
  vcpu.setVa(RDX, SCRATCH)
  return vcpu.hypercall(HYPERCALL.console_io)
}

/** The memory map that Xen has for this domain, or null when Xen has no such call. */
export function memoryMap(vcpu: Vcpu, dom0: boolean): E820Entry[] | null {
  const names = new Map<number, E820Type>(
    Object.entries(E820).map(([name, code]) => [code, name as E820Type]),
  )
  const buffer = SCRATCH + 16
  vcpu.store64(SCRATCH, MAX_MAP_ENTRIES, 0)
  vcpu.store64(SCRATCH + 8, buffer >>> 0, 0xffffffff)
  vcpu.set(RDI, dom0 ? MEMORY_OP.machine_memory_map : MEMORY_OP.memory_map)
  vcpu.setVa(RSI, SCRATCH)
  if (vcpu.hypercall(HYPERCALL.memory_op) !== 0) return null
  const entries: E820Entry[] = []
  for (let i = 0, count = vcpu.load32(SCRATCH); i < count; i++) {
    const at = buffer + i * 20
    const start = vcpu.load32(at) + vcpu.load32(at + 4) * TWO_32
    const size = vcpu.load32(at + 8) + vcpu.load32(at + 12) * TWO_32
    entries.push({ start, end: start + size, type: names.get(vcpu.load32(at + 16)) ?? 'reserved' })
  }
  return entries
}

/** Extents that one memory_op of the model names at most: what its page of arguments has room for. */
export const EXTENTS = 500

/** Where the extents of a reservation lie, behind the structure that names them. */
const EXTENT_LIST = SCRATCH + 32

/**
 * decrease_reservation of `count` frames, at most EXTENTS, given as pairs of halves. How many Xen took. Linux makes one
 * call for each frame.
 */
export function decreaseReservation(vcpu: Vcpu, mfns: Uint32Array, count: number): number {
  vcpu.storeEntries(EXTENT_LIST, mfns, count)
  return reservation(vcpu, MEMORY_OP.decrease_reservation, count)
}

/**
 * populate_physmap of `count` pfns from `pfn` on, at most EXTENTS: how many frames Xen gave, which go into `mfns` as pairs
 * of halves. It stops at the first that it does not have. Linux makes one call for each frame.
 */
export function populatePhysmap(vcpu: Vcpu, pfn: number, count: number, mfns: Uint32Array): number {
  for (let i = 0; i < count; i++) {
    mfns[i * 2] = (pfn + i) >>> 0
    mfns[i * 2 + 1] = Math.floor((pfn + i) / TWO_32)
  }
  vcpu.storeEntries(EXTENT_LIST, mfns, count)
  const done = reservation(vcpu, MEMORY_OP.populate_physmap, count)
  if (done > 0) vcpu.loadEntries(EXTENT_LIST, mfns, done)
  return Math.max(0, done)
}

/** {u64 extents*, u64 count, u32 order, u32 flags, u16 domain}: single frames of this domain. */
function reservation(vcpu: Vcpu, command: number, count: number): number {
  vcpu.store64(SCRATCH, EXTENT_LIST >>> 0, 0xffffffff)
  vcpu.store64(SCRATCH + 8, count, 0)
  vcpu.store64(SCRATCH + 16, 0, 0)
  vcpu.store64(SCRATCH + 24, DOMID.SELF, 0)
  vcpu.set(RDI, command)
  vcpu.setVa(RSI, SCRATCH)
  return vcpu.hypercall(HYPERCALL.memory_op)
}
