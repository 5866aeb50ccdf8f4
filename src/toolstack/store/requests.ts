import {
  changePermissions,
  changeValue,
  createNode,
  DOM0,
  findNode,
  isReadable,
  isWritable,
  removeNode,
} from './access.ts'
import { OWN, parsePermission, permissionText, READ, type StoreNode, WRITE } from './node.ts'
import { absolutePath, homeOf, parentOf } from './path.ts'
import { MOST_PAYLOAD, QUOTA } from './quotas.ts'
import { Refused } from './refused.ts'
import type { StoreSession } from './session.ts'

/** Message types. Xen: public/io/xs_wire.h. */
export const XS = {
  CONTROL: 0,
  DIRECTORY: 1,
  READ: 2,
  GET_PERMS: 3,
  WATCH: 4,
  UNWATCH: 5,
  TRANSACTION_START: 6,
  TRANSACTION_END: 7,
  INTRODUCE: 8,
  RELEASE: 9,
  GET_DOMAIN_PATH: 10,
  WRITE: 11,
  MKDIR: 12,
  RM: 13,
  SET_PERMS: 14,
  WATCH_EVENT: 15,
  ERROR: 16,
  IS_DOMAIN_INTRODUCED: 17,
  RESUME: 18,
  SET_TARGET: 19,
  RESET_WATCHES: 21,
  DIRECTORY_PART: 22,
} as const

/** Who asks, in which transaction (0: none), and the events that a request brings about. */
type Place = { readonly session: StoreSession; readonly id: number; readonly events: string[] }

/** How a request is carried out: the reply's payload, or Refused is thrown. */
export type StoreRequest = {
  readonly run: (place: Place, payload: string) => string
  /** For dom0 only. */
  readonly isPrivileged?: boolean
  /** A transaction that it names is not looked at. */
  readonly ignoresTransaction?: boolean
}

/** The request of a type, or undefined where there is none. */
export function requestOf(type: number): StoreRequest | undefined {
  return REQUESTS.get(type)
}

const OK = 'OK\0'

/** The strings of a payload, each with a zero at its end; what is behind the last zero is not looked at. */
function stringsOf(payload: string): string[] {
  return payload.split('\0').slice(0, -1)
}

/** The only string of a payload. */
function onlyString(payload: string): string {
  const [text] = stringsOf(payload)
  if (text === undefined || payload.length !== text.length + 1) throw new Refused('EINVAL')
  return text
}

function twoStrings(payload: string): readonly [string, string] {
  const strings = stringsOf(payload)
  if (strings.length !== 2) throw new Refused('EINVAL')
  return [strings[0], strings[1]]
}

function pathOf({ session }: Place, text: string): string {
  return absolutePath(text, session.home)
}

/** The node that the only string of a payload names, for reading. */
function readable(place: Place, payload: string): { path: string; node: StoreNode } {
  const path = pathOf(place, onlyString(payload))
  const { session, id } = place
  return { path, node: findNode(session.view(id), path, session.domain, READ) }
}

/** Watches go off at a node that the guest may read, or whose parent it may: watch_permitted(). */
function tell({ session, id, events }: Place, path: string): void {
  const view = session.view(id)
  if (isReadable(view, path, session.domain) || isReadable(view, parentOf(path), session.domain)) {
    session.changed(id, path, false, events)
  }
}

function namesOf({ children }: StoreNode): string {
  return children.map((name) => `${name}\0`).join('')
}

function directoryPart(place: Place, payload: string): string {
  const [text, offsetText] = twoStrings(payload)
  const path = pathOf(place, text)
  const view = place.session.view(place.id)
  const names = namesOf(findNode(view, path, place.session.domain, READ))
  const generation = `${view.generation(path)}\0`
  const offset = decimalOf(offsetText)
  if (offset >= names.length) return `${generation}\0`
  // As many whole names as there is room for; an empty one says that there are no more.
  const room = MOST_PAYLOAD - generation.length - 1
  const rest = names.slice(offset)
  if (rest.length <= room) return `${generation}${rest}\0`
  return generation + rest.slice(0, rest.lastIndexOf('\0', room - 1) + 1)
}

function write(place: Place, payload: string): string {
  const end = payload.indexOf('\0')
  if (end === -1) throw new Refused('EINVAL')
  const { session, id } = place
  const path = pathOf(place, payload.slice(0, end))
  const view = session.view(id)
  const value = payload.slice(end + 1)
  if (isWritable(view, path, session.domain)) changeValue(view, path, session.domain, value)
  else createNode(view, path, session.domain, value)
  tell(place, path)
  return OK
}

function makeDirectory(place: Place, payload: string): string {
  const { session, id } = place
  const path = pathOf(place, onlyString(payload))
  const view = session.view(id)
  if (!isWritable(view, path, session.domain)) {
    createNode(view, path, session.domain, '')
    tell(place, path)
  }
  return OK
}

function remove(place: Place, payload: string): string {
  const { session, id, events } = place
  const path = pathOf(place, onlyString(payload))
  const view = session.view(id)
  if (!isWritable(view, path, session.domain)) {
    // It is not there already, which is fine if it could be.
    if (view.get(parentOf(path)) === undefined) throw new Refused('ENOENT')
    return OK
  }
  for (const gone of removeNode(view, path, session.domain)) {
    if (gone.isReadable) session.changed(id, gone.path, gone.path !== path, events)
  }
  return OK
}

function setPermissions(place: Place, payload: string): string {
  const [text, ...rights] = stringsOf(payload)
  if (rights.length === 0) throw new Refused('EINVAL')
  if (rights.length > QUOTA.permissions) throw new Refused('ENOSPC')
  const permissions = rights.map(parsePermission)
  const { session, id, events } = place
  // Events of the machine's are dom0's.
  if (text.startsWith('@')) throw new Refused('EACCES')
  const [owner] = permissions
  if (owner.domain !== DOM0 && owner.domain !== session.domain) throw new Refused('ENOENT')
  const path = pathOf(place, text)
  const view = session.view(id)
  findNode(view, path, session.domain, WRITE | OWN)
  changePermissions(view, path, session.domain, permissions)
  session.changed(id, path, false, events)
  return OK
}

/** A number as C's atoi() reads it: digits at the beginning, else 0. */
function decimalOf(text: string): number {
  const value = Number.parseInt(text, 10)
  return Number.isNaN(value) ? 0 : value >>> 0
}

const PRIVILEGED: StoreRequest = { run: () => OK, isPrivileged: true }

const REQUESTS: ReadonlyMap<number, StoreRequest> = new Map([
  [XS.CONTROL, PRIVILEGED],
  [XS.INTRODUCE, PRIVILEGED],
  [XS.RELEASE, PRIVILEGED],
  [XS.IS_DOMAIN_INTRODUCED, PRIVILEGED],
  [XS.RESUME, PRIVILEGED],
  [XS.SET_TARGET, PRIVILEGED],
  [XS.DIRECTORY, { run: (place, payload) => namesOf(readable(place, payload).node) }],
  [XS.DIRECTORY_PART, { run: directoryPart }],
  [XS.READ, { run: (place, payload) => readable(place, payload).node.value }],
  [
    XS.GET_PERMS,
    {
      run: (place, payload) =>
        readable(place, payload)
          .node.permissions.map((permission) => `${permissionText(permission)}\0`)
          .join(''),
    },
  ],
  [XS.SET_PERMS, { run: setPermissions }],
  [XS.WRITE, { run: write }],
  [XS.MKDIR, { run: makeDirectory }],
  [XS.RM, { run: remove }],
  [
    XS.WATCH,
    {
      ignoresTransaction: true,
      run: ({ session, events }, payload) => {
        events.push(session.watches.add(...twoStrings(payload)))
        return OK
      },
    },
  ],
  [
    XS.UNWATCH,
    {
      ignoresTransaction: true,
      run: ({ session }, payload) => {
        session.watches.remove(...twoStrings(payload))
        return OK
      },
    },
  ],
  [
    XS.RESET_WATCHES,
    {
      run: ({ session }) => {
        session.reset()
        return OK
      },
    },
  ],
  [
    XS.TRANSACTION_START,
    {
      run: ({ session, id }) => {
        if (id !== 0) throw new Refused('EBUSY')
        return `${session.startTransaction()}\0`
      },
    },
  ],
  [
    XS.TRANSACTION_END,
    {
      run: ({ session, id, events }, payload) => {
        const how = onlyString(payload)
        if (how !== 'T' && how !== 'F') throw new Refused('EINVAL')
        session.endTransaction(id, how === 'T', events)
        return OK
      },
    },
  ],
  [XS.GET_DOMAIN_PATH, { run: (_, payload) => `${homeOf(decimalOf(onlyString(payload)))}\0` }],
])
