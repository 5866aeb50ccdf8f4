import { readPte } from '../decode/values.ts'
import { type BadType, type Evidence, messagesOf, recordsOf } from '../evidence.ts'
import type { GuestLineRecord, MulticallEntry, XenMessage } from '../log/records.ts'

/** What several signatures look at. */

const TABLES = ['l1', 'l2', 'l3', 'l4']

/** Whether a type word's type is one of the four levels of tables. */
export const isTable = (type: string) => TABLES.includes(type)

/** A page that was to become a table, or a descriptor page, and is mapped writable. */
export function writableAliases(evidence: Evidence): BadType[] {
  return evidence.badTypes.filter(
    ({ saw, exp }) => saw.type === 'writable' && (isTable(exp.type) || exp.type === 'segdesc'),
  )
}

/** A page that was to be mapped writable, and is a table. */
export function tablesMappedWritable(evidence: Evidence): BadType[] {
  return evidence.badTypes.filter(({ saw, exp }) => isTable(saw.type) && exp.type === 'writable')
}

/**
 * The line by which a kernel of 2011 says that it makes the unused rest of its buffer for early page tables writable again, where
 * a refused page lies in that range; it comes before the refusal.
 */
export function tailMadeWritable(evidence: Evidence, refused: BadType): GuestLineRecord | undefined {
  const at = Number.parseInt(refused.pfn, 16) * 4096
  return recordsOf(evidence, 'mark').findLast(({ mark, line, fields }) => {
    if (mark !== 'writable-again' || line > refused.record.line) return false
    return at >= Number.parseInt(fields.from, 16) && at < Number.parseInt(fields.to, 16)
  })
}

/** `an L1 page table` for l1, `a descriptor page` for segdesc. */
export function aTable(type: string): string {
  if (type === 'segdesc') return 'a descriptor page'
  return isTable(type) ? `an L${type.slice(1)} page table` : `a ${type} page`
}

/** `pfn bacf7 (mfn b1d89)`; the pfn is left out where the M2P has none. */
export function frameName({ mfn, pfn }: { mfn?: string; pfn?: string }): string {
  if (mfn === undefined) return pfn === undefined ? 'a frame' : `pfn ${pfn}`
  return pfn === undefined || isNoPfn(pfn) ? `mfn ${mfn}` : `pfn ${pfn} (mfn ${mfn})`
}

/** What the M2P says of a frame that has no pfn. */
export function isNoPfn(pfn: string): boolean {
  return /^5{16}$|^f{16}$/.test(pfn)
}

/** `one writable mapping`, `16 writable mappings`. */
export function counted(count: number, what: string): string {
  return count === 1 ? `one ${what}` : `${count} ${what}s`
}

/** The L1 entry that Xen could not take, of that frame when one is named. */
export function refusedEntries(evidence: Evidence, mfn?: string): XenMessage[] {
  const halves = new Set(messagesOf(evidence, 'ptwr-fixup').map(({ fields }) => fields.pte))
  const same = (other: string | undefined) => mfn === undefined || trimmed(other) === trimmed(mfn)
  return messagesOf(evidence, 'l1-get').filter(
    // An entry that Xen took to be half-written, and mended, is not refused.
    ({ fields }) => same(fields.mfn) && (fields.pte === undefined || !halves.has(fields.pte)),
  )
}

function trimmed(mfn: string | undefined): string | undefined {
  return mfn?.replace(/^0+(?=.)/, '')
}

/** Who ran and whose page it was: differing domains mean a foreign mapping. Ordinary domains only. */
export function isForeign({ fields, vcpu }: XenMessage): boolean {
  const owner = fields.pg_owner ?? fields.domid
  const mapper = fields.l1e_owner ?? /^d(\d+)/.exec(vcpu ?? '')?.[1]
  if (owner === undefined || mapper === undefined) return false
  const [page, table] = [Number(owner), Number(mapper)]
  return page !== table && page >= 0 && page < 0x7ff0
}

/** Whether the L1 entry of a message has RW; one that is not printed may have. */
export function asksToWrite({ fields }: XenMessage): boolean {
  const entry = fields.pte === undefined ? undefined : readPte(fields.pte)
  return entry === undefined || entry.flags.split('|').includes('RW')
}

/** Whether Xen says why it could not take an L1 entry. */
export function saysWhy(evidence: Evidence): boolean {
  const reasons = ['l1-owner', 'l1-writable', 'bad-type', 'bad-flags', 'mmio-denied', 'bad-page', 'get-page']
  return messagesOf(evidence, ...reasons).length > 0
}

/** Calls of a multicall that failed, with what the numbers say. */
export function failedCalls(evidence: Evidence): MulticallEntry[] {
  return recordsOf(evidence, 'multicall').flatMap(({ calls }) => calls.filter(({ result }) => result < 0))
}

/** The hypercalls that set an entry: mmu_update, update_va_mapping, and that of another domain. */
export const SETS_ENTRY = ['1', '14', '22']
export const MMUEXT_OP = '26'

/** The lines that records were read from, each once. */
export function linesOf(records: readonly { readonly line: number }[]): number[] {
  return [...new Set(records.map(({ line }) => line))]
}
