import { vaOf } from '../../bits/address.ts'
import { TYPE_CODE } from '../../bits/type-word.ts'
import { VECTOR_GP } from '../../machine/vcpu/vcpu.ts'
import type { Call } from '../call.ts'
import type { Domain } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { getPageType, putPageAndType } from '../mm/frame-type.ts'
import { getPage, putPage } from '../mm/references.ts'
import type { Core } from './core.ts'
import { HYPERCALL_PAGE } from './hypercall-page.ts'

/** Model-specific registers as a PV guest finds them. A value is two halves; null is a general protection fault. */
type Value = readonly [lo: number, hi: number]

/** Numbers: the CPU manuals. */
const MSR = {
  TSC: 0x10,
  PLATFORM_ID: 0x17,
  APIC_BASE: 0x1b,
  UCODE_REV: 0x8b,
  MTRR_CAP: 0xfe,
  MTRR_PHYS_BASE0: 0x200,
  MTRR_PHYS_MASK0: 0x201,
  MTRR_FIX_64K: 0x250,
  MTRR_FIX_16K: 0x258,
  MTRR_FIX_4K: 0x268,
  MTRR_DEF_TYPE: 0x2ff,
  MISC_ENABLE: 0x1a0,
  PAT: 0x277,
  MCG_CAP: 0x179,
  MCG_STATUS: 0x17a,
  MCG_CTL: 0x17b,
  EFER: 0xc000_0080,
  STAR: 0xc000_0081,
  SYSCALL_MASK: 0xc000_0084,
  FS_BASE: 0xc000_0100,
  GS_BASE: 0xc000_0101,
  KERNEL_GS_BASE: 0xc000_0102,
  HWCR: 0xc001_0015,
  DE_CFG: 0xc001_1029,
  XEN_HYPERCALL: 0x4000_0000,
} as const

/** SCE, LME, LMA and NXE. */
const EFER: Value = [0xd01, 0]
/** The attributes that Xen gives the eight types, and every guest with it. */
const PAT: Value = [0x0007_0406, 0x0000_0501]
/** Enabled, and of the first vCPU. */
const APIC_BASE: Value = [0xfee0_0900, 0]

/** Fast strings; no branch trace store, no precise event sampling, no task priority messages. */
const MISC_ENABLE: Value = [0x0080_1801, 0]

/** Banks of machine checks that a guest sees. Their registers, four a bank, are there for 32 in all cases. */
const MCE_BANKS = 2
const MCE_FIRST = 0x400
const MCE_END = 0x480

/** Registers of AMD's processors and of performance counters that read as zero. First and last. */
const ZEROS: readonly (readonly [first: number, last: number])[] = [
  [0x0, 0x1],
  [0xce, 0xce],
  [0x140, 0x140],
  [0x345, 0x345],
  [0xc001_0000, 0xc001_0007],
  [0xc001_0010, 0xc001_0010],
  [0xc001_0016, 0xc001_001a],
  [0xc001_001d, 0xc001_001d],
  [0xc001_001f, 0xc001_001f],
  [0xc001_0041, 0xc001_0042],
  [0xc001_0061, 0xc001_006b],
  [0xc001_0112, 0xc001_0113],
  [0xc001_0200, 0xc001_020b],
]

/** Registers that read as a constant. */
const CONSTANT = new Map<number, Value>([
  [MSR.APIC_BASE, APIC_BASE],
  [MSR.PAT, PAT],
  [MSR.EFER, EFER],
  [MSR.UCODE_REV, [0, 0]],
  [MSR.MCG_CAP, [MCE_BANKS, 0]],
  [MSR.MCG_STATUS, [0, 0]],
  [MSR.MCG_CTL, [0, 0]],
  [MSR.MISC_ENABLE, MISC_ENABLE],
  [MSR.XEN_HYPERCALL, [0, 0]],
  [MSR.HWCR, [0, 0]],
])

/** What the CPU itself has where Xen does not say otherwise: the machine on which real Xen was recorded, and as firmware left it. */
const HARDWARE = new Map<number, Value>([
  [MSR.MTRR_CAP, [0x508, 0]],
  [MSR.MTRR_PHYS_BASE0, [0x8000_0000, 0]],
  [MSR.MTRR_PHYS_MASK0, [0x8000_0800, 0xff]],
  [MSR.MTRR_FIX_64K, [0x0606_0606, 0x0606_0606]],
  [MSR.MTRR_FIX_16K, [0x0606_0606, 0x0606_0606]],
  // The BIOS and its extensions, from 0xc0000 on.
  ...Array.from({ length: 8 }, (_, i): [number, Value] => [MSR.MTRR_FIX_4K + i, [0x0505_0505, 0x0505_0505]]),
  [MSR.MTRR_DEF_TYPE, [0xc06, 0]],
  // Of where Xen's own code lies, LSTAR and CSTAR, nothing is known.
  [MSR.STAR, [0, 0xe023_e008]],
  [MSR.SYSCALL_MASK, [0x0007_4700, 0]],
  ...Array.from({ length: 10 }, (_, bank): [number, Value] => [
    MCE_FIRST + bank * 4,
    [0xffff_ffff, 0xffff_ffff],
  ]),
])

/**
 * Registers of newer features, and of Xen's own range, that no guest is offered where all others pass: guest_rdmsr() and
 * guest_wrmsr() of 4.14. First and last.
 */
const NOT_OFFERED: readonly (readonly [first: number, last: number])[] = [
  [0x33, 0x33],
  [0x48, 0x49],
  [0x4e, 0x4f],
  [0x79, 0x79],
  [0xcf, 0xcf],
  [0x10a, 0x10b],
  [0x10f, 0x10f],
  [0x122, 0x123],
  [0x560, 0x561],
  [0x570, 0x572],
  [0x580, 0x587],
  [0x6a0, 0x6a0],
  [0x6a2, 0x6a2],
  [0x6a4, 0x6a8],
  [0x4000_0001, 0x4000_02ff],
  [0xc000_0103, 0xc000_0103],
  [0xc001_0020, 0xc001_0020],
  [0xc001_02f0, 0xc001_02f1],
]

function isIn(ranges: readonly (readonly [first: number, last: number])[], number: number): boolean {
  return ranges.some(([first, last]) => number >= first && number <= last)
}

/** Read a register. Xen: guest_rdmsr(), read_msr(). */
export function readMsr({ xen, vcpu }: Call, core: Core, number: number): Value | null {
  switch (number) {
    case MSR.TSC:
      return [core.tsc >>> 0, Math.floor(core.tsc / 2 ** 32) >>> 0]
    case MSR.FS_BASE:
      return core.segmentBase('fs')
    case MSR.GS_BASE:
      return core.segmentBase('gs')
    case MSR.KERNEL_GS_BASE:
      return vcpu.otherGsBase
  }
  const constant = CONSTANT.get(number)
  if (constant !== undefined) return constant
  if (isIn(ZEROS, number)) return [0, 0]
  const { rules } = xen.version
  if (rules.unknownMsrsPass) {
    if (rules.hidesNewMsrs && isIn(NOT_OFFERED, number)) return null
    return HARDWARE.get(number) ?? [0, 0]
  }
  if (number === MSR.DE_CFG) return [2, 0]
  if (number >= MCE_FIRST && number < MCE_END) {
    const isControl = number % 4 === 0 && number < MCE_FIRST + MCE_BANKS * 4
    return isControl ? [0xffff_ffff, 0xffff_ffff] : [0, 0]
  }
  // Of what there is none, nothing can be read; and a guest that cannot take the fault yet is told zero.
  return vcpu.traps.has(VECTOR_GP) ? null : [0, 0]
}

/** Write a register; false is a general protection fault. Xen: guest_wrmsr(), write_msr(). */
export function writeMsr(call: Call, core: Core, number: number, lo: number, hi: number): boolean {
  const { xen, vcpu } = call
  const isAddress = vaOf(lo, hi) !== -1
  switch (number) {
    case MSR.FS_BASE:
      if (isAddress) core.setSegmentBase('fs', lo, hi)
      return isAddress
    case MSR.GS_BASE:
      if (isAddress) core.setSegmentBase('gs', lo, hi)
      return isAddress
    case MSR.KERNEL_GS_BASE:
      if (isAddress) vcpu.otherGsBase = [lo, hi]
      return isAddress
    case MSR.XEN_HYPERCALL:
      return fillHypercallPage(xen, vcpu.domain, lo, hi)
    case MSR.EFER:
      return lo === EFER[0] && hi === EFER[1]
    case MSR.MISC_ENABLE:
      // What differs is only logged.
      return true
    case MSR.UCODE_REV:
    case MSR.MCG_STATUS:
    case MSR.MCG_CTL:
      return true
  }
  const { rules } = xen.version
  if (rules.unknownMsrsPass) return !(rules.hidesNewMsrs && isIn(NOT_OFFERED, number))
  return number >= MCE_FIRST && number < MCE_END
}

/** Write the hypercall page into the frame at a guest's physical address, which must be able to be written. */
function fillHypercallPage(xen: Hypervisor, domain: Domain, lo: number, hi: number): boolean {
  // The low bits are the number of the page, and there is one only.
  if ((lo & 0xfff) !== 0) return false
  const mfn = (hi * 2 ** 32 + lo) / 4096
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) return false
  if (getPageType(xen, mfn, record, TYPE_CODE.writable) !== 0) {
    putPage(xen, mfn, record)
    return false
  }
  xen.memory.u8.set(HYPERCALL_PAGE, xen.memory.frameWords(mfn) * 4)
  putPageAndType(xen, mfn, record)
  return true
}
