/** Domain ids with a meaning of their own: Xen's public/xen.h. */
export const DOMID = {
  SELF: 0x7ff0,
  IO: 0x7ff1,
  XEN: 0x7ff2,
  COW: 0x7ff3,
  INVALID: 0x7ff4,
} as const

/** A domain as Xen 4.13 and later print it with %pd: `d0`, `d[IO]`, `d[XEN]`; no owner is `NULL`. */
export function domainName(id: number): string {
  if (id === DOMID.IO) return 'd[IO]'
  if (id === DOMID.XEN) return 'd[XEN]'
  if (id === DOMID.COW) return 'd[COW]'
  return `d${id}`
}
