/** Xen's error numbers, which are Linux's. A hypercall returns the negated value in rax. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  ENXIO: 6,
  E2BIG: 7,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  ENOSYS: 38,
  ENODATA: 61,
  ETIME: 62,
  ERESTART: 85,
  EOPNOTSUPP: 95,
  ENOBUFS: 105,
} as const

export const EPERM = -ERRNO.EPERM
export const ESRCH = -ERRNO.ESRCH
export const ENOENT = -ERRNO.ENOENT
export const ENOMEM = -ERRNO.ENOMEM
export const EACCES = -ERRNO.EACCES
export const EFAULT = -ERRNO.EFAULT
export const EEXIST = -ERRNO.EEXIST
export const ENOSPC = -ERRNO.ENOSPC
export const ETIME = -ERRNO.ETIME
export const ENODEV = -ERRNO.ENODEV
export const ENXIO = -ERRNO.ENXIO
export const EBUSY = -ERRNO.EBUSY
export const EINVAL = -ERRNO.EINVAL
export const ENOSYS = -ERRNO.ENOSYS
export const EOPNOTSUPP = -ERRNO.EOPNOTSUPP
export const ENODATA = -ERRNO.ENODATA
export const ENOBUFS = -ERRNO.ENOBUFS

/** `EINVAL` for 22 or -22; undefined for a number that Xen does not return. */
export function errnoName(code: number): string | undefined {
  const value = Math.abs(code)
  return Object.entries(ERRNO).find(([, n]) => n === value)?.[0]
}
