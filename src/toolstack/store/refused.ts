/** A request of xenstore that is refused: the name of the error goes into the reply. Xen: public/io/xs_wire.h. */
export class Refused extends Error {
  readonly errno: StoreErrno

  constructor(errno: StoreErrno) {
    super(errno)
    this.errno = errno
  }
}

export type StoreErrno =
  | 'E2BIG'
  | 'EACCES'
  | 'EAGAIN'
  | 'EBUSY'
  | 'EEXIST'
  | 'EINVAL'
  | 'ENOENT'
  | 'ENOMEM'
  | 'ENOSPC'
  | 'ENOSYS'
  | 'EPERM'
