import { TYPE_CODE } from '../../bits/type-word.ts'
import type { Call } from '../call.ts'
import { addFacts, refuse } from '../refusal.ts'
import { getPageType } from './frame-type.ts'
import { getPage, putPage } from './references.ts'

/** Hold a frame of the domain's as writable: 0, or EINVAL where it is not to be had, and `bad` where it is of another type. */
export function holdWritable({ xen, domain }: Call, mfn: number, bad: number): number {
  const record = xen.memory.record(mfn)
  if (record === -1 || !getPage(xen, mfn, record, domain)) return refuse(xen, 'noPage', { mfn })
  if (getPageType(xen, mfn, record, TYPE_CODE.writable) === 0) return 0
  putPage(xen, mfn, record)
  return addFacts(xen, { mfn }, bad)
}
