/** What one guest may have, and how large its messages may be: xenstored's quotas and limits. Xen: xenstored_core.c. */
export const QUOTA = {
  /** Nodes that it owns. */
  nodes: 1000,
  /** Bytes of a node: its value, its children's names, its permissions and what it is kept in, less one. */
  nodeBytes: 2048,
  permissions: 5,
  watches: 128,
  transactions: 10,
  /** Nodes that one transaction may look at. */
  transactionNodes: 1024,
  /** Bytes of a path, behind the guest's home if it is below that. */
  path: 2048,
  /** Bytes of messages that wait for the guest: events beyond that are lost. */
  waiting: 2.5 * 2 ** 20,
} as const

/** The longest payload of a message, either way: XENSTORE_PAYLOAD_MAX. */
export const MOST_PAYLOAD = 4096
