import { Refused } from './refused.ts'

/** A domain's right to a node: `n` none, `r` to read, `w` to write, `b` both. The first one of a node names its owner. */
export type StorePermission = { readonly may: 'n' | 'r' | 'w' | 'b'; readonly domain: number }

/** A node of the store. Every one has a value, which may be empty, and may have children, in the order of their making. */
export type StoreNode = {
  readonly value: string
  readonly permissions: readonly StorePermission[]
  readonly children: readonly string[]
}

/** What may be asked of a node, as bits. An owner may do everything. */
export const [READ, WRITE, OWN] = [1, 2, 4]

const RIGHTS = { n: 0, r: READ, w: WRITE, b: READ | WRITE } as const

/** What a domain may do with a node: perm_for_conn(). */
export function rightsOf({ permissions }: StoreNode, domain: number): number {
  const [first, ...others] = permissions
  if (first.domain === domain) return READ | WRITE | OWN
  return RIGHTS[(others.find((permission) => permission.domain === domain) ?? first).may]
}

/** Bytes that a node takes in xenstored's own store, which counts them: a header, the rights, the value, the names. */
export function bytesOf({ value, permissions, children }: StoreNode): number {
  const names = children.reduce((sum, name) => sum + name.length + 1, 0)
  return 24 + permissions.length * 8 + value.length + names
}

/** A permission as xenstore's protocol writes it: a letter and a decimal number. */
export function permissionText({ may, domain }: StorePermission): string {
  return `${may}${domain}`
}

/** A permission as a guest writes it: a letter and a decimal, octal or hexadecimal number. */
export function parsePermission(text: string): StorePermission {
  const match = /^([nrwb])(0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10})$/.exec(text)
  if (match === null) throw new Refused('EINVAL')
  const [, letter, number] = match
  const isOctal = /^0[0-7]+$/.test(number)
  const domain = isOctal ? Number.parseInt(number, 8) : Number(number)
  return { may: letter as StorePermission['may'], domain: domain >>> 0 }
}
