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
  MISC_ENABLE: 0x1a0,
  PAT: 0x277,
  MCG_CAP: 0x179,
  MCG_STATUS: 0x17a,
  MCG_CTL: 0x17b,
  EFER: 0xc000_0080,
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
  [MSR.DE_CFG, [2, 0]],
])

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
  if (ZEROS.some(([first, last]) => number >= first && number <= last)) return [0, 0]
  if (number >= MCE_FIRST && number < MCE_END) {
    const isControl = number % 4 === 0 && number < MCE_FIRST + MCE_BANKS * 4
    return isControl ? [0xffff_ffff, 0xffff_ffff] : [0, 0]
  }
  // Of what there is none, nothing can be read; and a guest that cannot take the fault yet is told zero.
  return xen.version.rules.unknownMsrsPass || !vcpu.traps.has(VECTOR_GP) ? [0, 0] : null
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
  return xen.version.rules.unknownMsrsPass || (number >= MCE_FIRST && number < MCE_END)
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
