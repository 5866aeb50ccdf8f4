import { PAGE, TWO_32 } from '../bits/address.ts'
import { VM_ASSIST } from '../xen/abi.ts'
import {
  decreaseReservation,
  EXTENTS,
  memoryMap,
  populatePhysmap,
  setTrapTable,
  vmAssistEnable,
} from './hypercalls.ts'
import { bug, bytesOf, type Kernel, panic, printk } from './kernel.ts'
import { ramLimits, trimBiosRange } from './memory/e820.ts'
import { applyMapOptions } from './memory/memory-map-options.ts'
import { type MemorySetupInput, type PfnRange, pages, xenMemorySetup } from './memory/xen-memory-setup.ts'
import { xenMemorySetupRepopulating } from './memory/xen-memory-setup-repopulate.ts'
import { pagingInit } from './paging-init.ts'
import { directVa, SYMBOLS } from './symbols.ts'
import { initMemoryMapping } from './tables/early-tables.ts'
import { earlyIoremap, earlyIoremapInit, earlyIounmap } from './tables/fixmap.ts'
import { earlyAllocPgtBuf, initMemMapping } from './tables/init-mem-mapping.ts'
import { cleanupHighmap } from './tables/kernel-pagetable.ts'
import { flushMarkReport, markRwPastPgt } from './tables/mark-rw-past-pgt.ts'

/** Handlers that early_trap_init() installs: #DB, #BP, #PF. None yet for #UD, which BUG() raises. */
const EARLY_TRAPS = [1, 3, 14]
/** Frames of the node's own structure: 20 KiB. */
export const NODE_DATA_PAGES = 5
export const TRAMPOLINE_PAGES = 2

/** setup_arch(), as far as it touches memory: arch/x86/kernel/setup.c, in its order. */
export function setupArch(kernel: Kernel): void {
  const { vcpu, memblock, dom0 } = kernel
  memblock.reserve(SYMBOLS.text, kernel.kernelEnd)
  const { initrd } = kernel
  if (initrd.bytes > 0) memblock.reserve(initrd.start, initrd.start + Math.ceil(initrd.bytes / PAGE) * PAGE)
  setTrapTable(vcpu, EARLY_TRAPS)
  earlyIoremapInit(kernel)
  // From here on a domU's stores to live L1 tables are carried out by Xen: xen_arch_setup().
  vmAssistEnable(vcpu, VM_ASSIST.writable_pagetables)
  setupMemoryMap(kernel)
  if (dom0) dmiScan(kernel)
  findLimits(kernel)
  if (kernel.generation.placement === 'brk') earlyAllocPgtBuf(kernel)
  if (kernel.generation.firstMapped === 'mfn-list') cleanupHighmap(kernel)
  const mapped = bytesOf(kernel.maxPfnMapped)
  printk(kernel, `initial memory mapped : 0 - ${mapped.toString(16).padStart(8, '0')}`)
  for (const entry of kernel.e820) if (entry.type === 'usable') memblock.addMemory(entry.start, entry.end)
  setupTrampolines(kernel)

  if (kernel.generation.placement === 'brk') initMemMapping(kernel)
  else mapInTwoCalls(kernel)
  kernel.mappingDone = true
  if (initrd.bytes > 0) {
    const eight = (n: number): string => n.toString(16).padStart(8, '0')
    const end = initrd.start + Math.ceil(initrd.bytes / PAGE) * PAGE
    printk(kernel, `RAMDISK: ${eight(initrd.start)} - ${eight(end)}`)
  }
  if (dom0 && !/(?:^|\s)acpi=off/.test(kernel.commandLine)) acpiBootTableInit(kernel)
  initmemInit(kernel)
  pagingInit(kernel)
  postAllocatorInit(kernel)
}

/** The calls of init_memory_mapping before 3.9: all below 4 GiB, and then all above it. */
function mapInTwoCalls(kernel: Kernel): void {
  kernel.maxPfnMapped = initMemoryMapping(kernel, 0, bytesOf(kernel.maxLowPfn))
  if (kernel.maxPfn <= kernel.maxLowPfn) return
  kernel.maxPfnMapped = initMemoryMapping(kernel, TWO_32, bytesOf(kernel.maxPfn))
  kernel.maxLowPfn = kernel.maxPfn
}

const extents = new Uint32Array(EXTENTS * 2)

/** The memory map: what Xen says, what the kernel makes of it, what the command line says. */
function setupMemoryMap(kernel: Kernel): void {
  const { vcpu, p2m, memblock } = kernel
  const rawMap = memoryMap(vcpu, kernel.dom0)
  if (rawMap === null && kernel.dom0) bug(vcpu, 'xen_memory_setup')
  const repopulates = kernel.generation.released === 'repopulated'
  const input: MemorySetupInput = {
    rawMap,
    nrPages: kernel.nrPages,
    dom0: kernel.dom0,
    generation: kernel.generation,
    mfnList: kernel.mfnList,
    ptBase: kernel.ptBase,
  }
  let setup = (repopulates ? xenMemorySetupRepopulating : xenMemorySetup)(input)
  for (const { start, end } of setup.release) {
    for (let pfn = start; pfn < end; ) {
      const taken = p2m.takeOut(pfn, Math.min(EXTENTS, end - pfn), extents)
      decreaseReservation(vcpu, extents, taken)
      pfn += taken
    }
  }
  p2m.setIdentity(setup.identity)
  const granted = populate(kernel, setup.populate ?? [])
  // Where Xen has fewer frames than were asked for, memory ends at the last that it gave: xen_populate_chunk().
  if (granted < pages(setup.populate ?? [])) setup = xenMemorySetupRepopulating({ ...input, granted })
  for (const { base, end } of setup.reservations) memblock.reserve(base, end)
  for (const line of setup.lines) printk(kernel, line)
  const user = applyMapOptions(setup.e820, kernel.commandLine)
  for (const line of user.lines) printk(kernel, line)
  const trimmed = trimBiosRange(user.map)
  for (const line of trimmed.lines) printk(kernel, line)
  kernel.e820 = trimmed.map
}

/** Ask Xen for frames again, range by range until it has no more. Returns how many came. */
function populate(kernel: Kernel, ranges: readonly PfnRange[]): number {
  let granted = 0
  for (const { start, end } of ranges) {
    for (let pfn = start; pfn < end; ) {
      const count = Math.min(EXTENTS, end - pfn)
      const done = populatePhysmap(kernel.vcpu, pfn, count, extents)
      kernel.p2m.extend(pfn, done, extents)
      granted += done
      if (done < count) return granted
      pfn += done
    }
  }
  return granted
}

function findLimits(kernel: Kernel): void {
  const { maxPfn, maxLowPfn, lines } = ramLimits(kernel.e820)
  for (const line of lines) printk(kernel, line)
  kernel.maxPfn = maxPfn
  kernel.maxLowPfn = maxLowPfn
}

/** dmi_scan_machine(): look for firmware's tables in the last 64 KiB below 1 MiB. */
function dmiScan(kernel: Kernel): void {
  earlyIoremap(kernel, 0, 0xf0, 16)
  earlyIounmap(kernel, 0, 16)
}

/** acpi_boot_table_init(): the first look at ACPI's root pointer, through an early-ioremap slot. */
function acpiBootTableInit(kernel: Kernel): void {
  earlyIoremap(kernel, 0, 0xf5, 1)
  earlyIounmap(kernel, 0)
}

function setupTrampolines(kernel: Kernel): void {
  const base = kernel.memblock.findInRange(PAGE, 0x10_0000, TRAMPOLINE_PAGES * PAGE, PAGE)
  if (base === null) panic(kernel, 'Cannot allocate trampoline')
  kernel.memblock.reserve(base, base + TRAMPOLINE_PAGES * PAGE)
}

/**
 * initmem_init(): the node's own structure is the first thing that is allocated from the top, next to where the early
 * tables were, and the first that is written to. Where the tail of a buffer is still read-only it faults here.
 */
function initmemInit(kernel: Kernel): void {
  kernel.stage = 'setup_node_bootmem'
  const { memblock } = kernel
  const MAX_DMA = bytesOf(0x1000)
  const end = bytesOf(kernel.maxPfn)
  const size = NODE_DATA_PAGES * PAGE
  const from = end > TWO_32 ? TWO_32 : MAX_DMA
  const base =
    memblock.findInRange(from, end, size, PAGE) ??
    memblock.findInRange(MAX_DMA, bytesOf(kernel.maxPfnMapped), size, PAGE)
  if (base === null) panic(kernel, `Cannot find ${size} bytes in node 0`)
  memblock.reserve(base, base + size)
  kernel.nodeData = { base, end: base + size }
  kernel.trace?.('node_data', { base, end: base + size })
  printk(kernel, `  NODE_DATA [${bytes16(base)} - ${bytes16(base + size - 1)}]`)
  for (let at = base; at < base + size; at += PAGE) kernel.vcpu.clearPage(directVa(at))
}

function bytes16(n: number): string {
  return n.toString(16).padStart(16, '0')
}

/**
 * xen_post_allocator_init(): the run-time operations replace the early ones. The workaround's last call is here, and it wants
 * the last tail writable, with whatever has become of its pages.
 */
function postAllocatorInit(kernel: Kernel): void {
  kernel.stage = 'xen_post_allocator_init'
  if (kernel.generation.release === 'mark') markRwPastPgt(kernel, 'xen_post_allocator_init', 1)
  flushMarkReport(kernel)
  kernel.postAllocator = true
}
