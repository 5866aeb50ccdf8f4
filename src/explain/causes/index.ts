import { ambiguousMessage } from './ambiguous-message.ts'
import type { Cause } from './cause.ts'
import { clobberedBootMemory } from './clobbered-boot-memory.ts'
import { doublePin } from './double-pin.ts'
import { e820Conflict } from './e820-conflict.ts'
import { e820ConflictFixed } from './e820-conflict-fixed.ts'
import { forbiddenPteFlag } from './forbidden-pte-flag.ts'
import { foreignOrFreeFrame } from './foreign-or-free-frame.ts'
import { grantedPteOverwritten } from './granted-pte-overwritten.ts'
import { guestOnlyEvidence } from './guest-only-evidence.ts'
import { hookCalledTooEarly } from './hook-called-too-early.ts'
import { kasanShadowUnmapped } from './kasan-shadow-unmapped.ts'
import { l1tfNonpresentPte } from './l1tf-nonpresent-pte.ts'
import { linearPtDisabled } from './linear-pt-disabled.ts'
import { linearPtWritable } from './linear-pt-writable.ts'
import { mapPagetableRwFromDom0 } from './map-pagetable-rw-from-dom0.ts'
import { missingL1ForGrantMap } from './missing-l1-for-grant-map.ts'
import { mmioDenied } from './mmio-denied.ts'
import { notMmu } from './not-mmu.ts'
import { pagetableFreedThenMappedRw } from './pagetable-freed-then-mapped-rw.ts'
import { pinnedTableFreed } from './pinned-table-freed.ts'
import { ptwrPaeHalfWrite } from './ptwr-pae-half-write.ts'
import { roPageWrite } from './ro-page-write.ts'
import { rwMappingRefused } from './rw-mapping-refused.ts'
import { staleAliasThenPin } from './stale-alias-then-pin.ts'
import { tableTypeConflict } from './table-type-conflict.ts'
import { unmappedDirectMap } from './unmapped-direct-map.ts'
import { unpinOfUnpinned } from './unpin-of-unpinned.ts'
import { walksHypervisorSlots } from './walks-hypervisor-slots.ts'
import { writableAliasThenPin } from './writable-alias-then-pin.ts'
import { wrongTableMadeRo } from './wrong-table-made-ro.ts'

/** Every cause, in the order in which lists name them. */
export const CAUSES: readonly Cause[] = [
  writableAliasThenPin,
  staleAliasThenPin,
  wrongTableMadeRo,
  pagetableFreedThenMappedRw,
  pinnedTableFreed,
  mapPagetableRwFromDom0,
  doublePin,
  unpinOfUnpinned,
  rwMappingRefused,
  forbiddenPteFlag,
  foreignOrFreeFrame,
  ambiguousMessage,
  mmioDenied,
  missingL1ForGrantMap,
  grantedPteOverwritten,
  l1tfNonpresentPte,
  linearPtDisabled,
  ptwrPaeHalfWrite,
  roPageWrite,
  e820Conflict,
  e820ConflictFixed,
  hookCalledTooEarly,
  clobberedBootMemory,
  unmappedDirectMap,
  kasanShadowUnmapped,
  walksHypervisorSlots,
  guestOnlyEvidence,
  notMmu,
  tableTypeConflict,
  linearPtWritable,
]
