import * as v from 'valibot'
import { listOf, text, whole } from '../../../files/checked.ts'
import { QUOTA } from '../../../toolstack/store/quotas.ts'
import type { SavedXenstore } from '../../../toolstack/xenstore.ts'

/** What xenstore has of a guest, in a snapshot: within the quotas that it keeps guests to. */

const Count = whole(0, Number.MAX_SAFE_INTEGER)
const Id = whole(0, 2 ** 32 - 1)
/** Below the guest's home there is its length more. */
const MOST_PATH = QUOTA.path + 64
const Path = v.pipe(text(MOST_PATH), v.regex(/^\/[-\w/@]*$/, 'a path is needed'))
/** Nodes of the toolstack's, beside the guest's. */
const MOST_NODES = QUOTA.nodes + 1000

const NodeForm = v.strictObject({
  value: text(2 * QUOTA.nodeBytes),
  permissions: v.pipe(
    listOf(v.strictObject({ may: v.picklist(['n', 'r', 'w', 'b']), domain: Id }), 16),
    v.minLength(1),
  ),
  children: listOf(text(MOST_PATH), MOST_NODES),
})

const AccessedForm = v.strictObject({ seen: Count, now: v.nullable(NodeForm), isChanged: v.boolean() })

function pair<const First extends v.GenericSchema, const Second extends v.GenericSchema>(
  first: First,
  second: Second,
) {
  return v.pipe(v.tuple([first, second]), v.readonly())
}

const TransactionForm = v.strictObject({
  accessed: listOf(pair(Path, AccessedForm), QUOTA.transactionNodes),
  changes: listOf(pair(Path, v.boolean()), 4 * QUOTA.transactionNodes),
  hasFailed: v.boolean(),
})

/** Bytes of messages under way. */
const Queue = listOf(whole(0, 255), QUOTA.waiting + 2 ** 14)

export const StoreForm = v.strictObject({
  session: v.strictObject({
    tree: v.strictObject({
      nodes: listOf(v.pipe(v.tuple([Path, NodeForm, Count]), v.readonly()), MOST_NODES),
      next: Count,
    }),
    watches: listOf(
      v.strictObject({ path: text(MOST_PATH), token: text(4096), isRelative: v.boolean() }),
      QUOTA.watches,
    ),
    nextTransaction: Id,
    transactions: listOf(pair(Id, TransactionForm), QUOTA.transactions),
  }),
  isIgnored: v.boolean(),
  incoming: Queue,
  outgoing: Queue,
}) satisfies v.GenericSchema<unknown, SavedXenstore>
