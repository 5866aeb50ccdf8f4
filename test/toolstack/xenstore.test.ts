import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recountMachine } from '../../src/run/check/recount.ts'
import { bytesOf } from '../../src/toolstack/store/node.ts'
import { parentOf } from '../../src/toolstack/store/path.ts'
import type { SavedXenstore } from '../../src/toolstack/xenstore.ts'
import { Xenstore } from '../../src/toolstack/xenstore.ts'
import { PvMachine } from '../tools/pv-machine.ts'
import { Random } from '../tools/random.ts'
import { RING, StoreClient, XS } from '../tools/store-client.ts'

test('a guest reads what the toolstack wrote, and writes what is its own', () => {
  const store = new StoreClient()
  assert.equal(store.ask(XS.READ, 'name\0'), '2 me')
  assert.equal(store.ask(XS.READ, '/local/domain/1/name\0'), '2 me')
  assert.equal(store.ask(XS.READ, 'nothing\0'), '16 ENOENT|')
  assert.equal(store.ask(XS.WRITE, 'data/a\0one'), '11 OK|')
  assert.equal(store.ask(XS.WRITE, 'data/b\0'), '11 OK|')
  assert.equal(store.ask(XS.DIRECTORY, 'data\0'), '1 a|b|')
  assert.equal(store.ask(XS.MKDIR, 'data/c/d\0'), '12 OK|')
  assert.equal(store.ask(XS.READ, 'data/c\0'), '2 ')
  assert.equal(store.ask(XS.MKDIR, 'data/a\0'), '12 OK|')
  assert.equal(store.ask(XS.READ, 'data/a\0'), '2 one')
  assert.equal(store.ask(XS.RM, 'data/c\0'), '13 OK|')
  assert.equal(store.ask(XS.READ, 'data/c/d\0'), '16 ENOENT|')
  // What is not there need not be removed; its parent must be there.
  assert.equal(store.ask(XS.RM, 'data/c\0'), '13 OK|')
  assert.equal(store.ask(XS.RM, 'data/c/d\0'), '16 ENOENT|')
  assert.equal(store.ask(XS.DIRECTORY, 'data\0'), '1 a|b|')
  assert.equal(store.ask(XS.RM, 'data\0'), '13 OK|')
  assert.equal(store.ask(XS.DIRECTORY, 'data\0'), '16 ENOENT|')
  assert.equal(store.ask(XS.DOMAIN_PATH, '1\0'), '10 /local/domain/1|')
  assert.equal(store.ask(XS.DOMAIN_PATH, 'x\0'), '10 /local/domain/0|')
})

test('what is dom0’s can be read at most, and what is another’s is not known to be there', () => {
  const store = new StoreClient()
  for (const path of ['name', 'control', 'cpu', '.', 'new']) {
    const want = path === '.' ? '16 EINVAL|' : '16 EACCES|'
    assert.equal(store.ask(XS.RM, `${path}\0`), want, path)
    assert.equal(store.ask(XS.WRITE, `${path}\0x`), want, path)
    assert.equal(store.ask(XS.MKDIR, `${path}/x\0`), want, path)
  }
  assert.equal(store.ask(XS.READ, 'name\0'), '2 me')
  for (const path of ['/', '/local', '/local/domain', '/local/domain/0', '/local/domain/0/name', '/tool']) {
    assert.equal(store.ask(XS.DIRECTORY, `${path}\0`), '16 EACCES|', path)
    assert.equal(store.ask(XS.WRITE, `${path}\0x`), '16 EACCES|', path)
    assert.equal(store.ask(XS.RM, `${path}\0`), '16 EACCES|', path)
  }
  assert.equal(store.ask(XS.WRITE, 'control/shutdown\0halt'), '11 OK|')
})

test('permissions are told, and changed by the owner', () => {
  const store = new StoreClient()
  assert.equal(store.ask(XS.GET_PERMS, 'name\0'), '3 n0|r1|')
  assert.equal(store.ask(XS.GET_PERMS, 'data\0'), '3 n1|')
  assert.equal(store.ask(XS.SET_PERMS, 'data\0n1\0r0\0b0x7\0'), '14 OK|')
  assert.equal(store.ask(XS.GET_PERMS, 'data\0'), '3 n1|r0|b7|')
  // What is made below it has the same.
  assert.equal(store.ask(XS.WRITE, 'data/x\0'), '11 OK|')
  assert.equal(store.ask(XS.GET_PERMS, 'data/x\0'), '3 n1|r0|b7|')
  assert.equal(store.ask(XS.SET_PERMS, 'data\0n0\0'), '16 EPERM|')
  assert.equal(store.ask(XS.SET_PERMS, 'data\0n5\0'), '16 ENOENT|')
  for (const bad of ['q1', 'N1', 'n', '1', 'n1x', 'n-1', '']) {
    assert.equal(store.ask(XS.SET_PERMS, `data\0${bad}\0`), '16 EINVAL|', bad)
  }
  assert.equal(store.ask(XS.SET_PERMS, 'data\0'), '16 EINVAL|')
  assert.equal(store.ask(XS.SET_PERMS, `data\0${'n1\0'.repeat(6)}`), '16 ENOSPC|')
  assert.equal(store.ask(XS.SET_PERMS, 'name\0n1\0'), '16 EACCES|')
  assert.equal(store.ask(XS.SET_PERMS, '@releaseDomain\0n1\0'), '16 EACCES|')
})

test('paths and payloads that cannot be, and requests that are dom0’s or nobody’s', () => {
  const store = new StoreClient()
  const bad = ['bad//path', 'data/', '', 'a b', 'a.b', 'ä', '@x', `data/${'x'.repeat(2048)}`]
  for (const path of bad) assert.equal(store.ask(XS.READ, `${path}\0`), '16 EINVAL|', path)
  for (const type of [XS.DIRECTORY, XS.READ, XS.GET_PERMS, XS.MKDIR, XS.RM, XS.DOMAIN_PATH, XS.END]) {
    // No zero, none at the end, two of them, nothing at all.
    for (const text of ['data', 'data\0x', 'data\0data\0', '']) {
      assert.equal(store.ask(type, text), '16 EINVAL|', `${type} ${text}`)
    }
  }
  for (const type of [XS.WATCH, XS.UNWATCH, XS.PART]) {
    for (const text of ['', 'data', 'data\0', 'a\0b\0c\0'])
      assert.equal(store.ask(type, text), '16 EINVAL|', `${type} ${text}`)
  }
  for (const type of [0, 8, 9, 17, 18, 19]) assert.equal(store.ask(type, '1\0'), '16 EACCES|', `${type}`)
  for (const type of [15, 16, 20, 23, 77, 0xffff_ffff]) assert.equal(store.ask(type, ''), '16 ENOSYS|')
})

test('watches go off when they are set, and at changes below them', () => {
  const store = new StoreClient()
  assert.equal(store.ask(XS.WATCH, 'control\0token\0'), '4 OK|')
  assert.equal(store.receive(), '15 control|token|')
  assert.equal(store.ask(XS.WRITE, 'control/shutdown\0halt'), '11 OK|')
  assert.equal(store.receive(), '15 control/shutdown|token|')
  assert.equal(store.ask(XS.WRITE, 'data/other\0x'), '11 OK|')
  assert.equal(store.receive(), null)
  assert.equal(store.ask(XS.WATCH, 'control\0token\0'), '16 EEXIST|')
  assert.equal(store.ask(XS.UNWATCH, 'control\0token\0'), '5 OK|')
  assert.equal(store.ask(XS.UNWATCH, 'control\0token\0'), '16 ENOENT|')
  // A removal is told of the whole once, and of a part to whoever watches just that.
  for (const path of ['/local/domain/1/data', 'data/a/b', 'data/a/b/c', 'data/none']) {
    assert.equal(store.ask(XS.WATCH, `${path}\0t\0`), '4 OK|')
    store.receive()
  }
  store.ask(XS.WRITE, 'data/a/b/c\0')
  while (store.receive() !== null);
  assert.equal(store.ask(XS.RM, 'data/a\0'), '13 OK|')
  assert.equal(store.receive(), '15 data/a/b/c|t|')
  assert.equal(store.receive(), '15 data/a/b|t|')
  assert.equal(store.receive(), '15 /local/domain/1/data/a|t|')
  assert.equal(store.receive(), null)
  assert.equal(store.ask(XS.RESET, '\0'), '21 OK|')
  assert.equal(store.ask(XS.WRITE, 'data/a\0'), '11 OK|')
  assert.equal(store.receive(), null)
})

test('a transaction is carried out as a whole, or not at all', () => {
  const store = new StoreClient()
  const start = (): number => Number(store.ask(XS.START, '\0')?.slice(2, -1))
  store.ask(XS.WATCH, 'data\0t\0')
  store.receive()
  const first = start()
  assert.equal(first, 1)
  assert.equal(store.ask(XS.START, '\0', first), '16 EBUSY|')
  assert.equal(store.ask(XS.WRITE, 'data/a\0one', first), '11 OK|')
  assert.equal(store.ask(XS.READ, 'data/a\0', first), '2 one')
  assert.equal(store.ask(XS.READ, 'data/a\0'), '16 ENOENT|')
  assert.equal(store.ask(XS.END, 'F\0', first), '7 OK|')
  assert.equal(store.receive(), null)
  assert.equal(store.ask(XS.READ, 'data/a\0'), '16 ENOENT|')
  assert.equal(store.ask(XS.READ, 'data/a\0', first), '16 ENOENT|')
  assert.equal(store.ask(XS.END, 'T\0'), '16 ENOENT|')

  const second = start()
  store.ask(XS.WRITE, 'data/a\0one', second)
  store.ask(XS.WRITE, 'data/b/c\0two', second)
  store.ask(XS.RM, 'data/a\0', second)
  assert.equal(store.ask(XS.END, 'T\0', second), '7 OK|')
  assert.deepEqual([store.receive(), store.receive()], ['15 data/a|t|', '15 data/b/c|t|'])
  assert.equal(store.ask(XS.DIRECTORY, 'data\0'), '1 b|')
  assert.equal(store.ask(XS.READ, 'data/b/c\0'), '2 two')
})

test('a transaction whose nodes have changed meanwhile comes to nothing', () => {
  const store = new StoreClient()
  const [one, two] = [1, 2]
  store.ask(XS.START, '\0')
  store.ask(XS.START, '\0')
  store.ask(XS.READ, 'data/a\0', one)
  store.ask(XS.WRITE, 'data/mine\0', one)
  store.ask(XS.WRITE, 'attr/x\0', two)
  assert.equal(store.ask(XS.WRITE, 'data/a\0x'), '11 OK|')
  assert.equal(store.ask(XS.END, 'T\0', one), '16 EAGAIN|')
  assert.equal(store.ask(XS.READ, 'data/mine\0'), '16 ENOENT|')
  // What had nothing to do with it is carried out.
  assert.equal(store.ask(XS.END, 'T\0', two), '7 OK|')
  assert.equal(store.ask(XS.END, 'T\0', one), '16 ENOENT|')
  for (let i = 0; i < 10; i++) assert.match(store.ask(XS.START, '\0') ?? '', /^6 \d+\|$/)
  assert.equal(store.ask(XS.START, '\0'), '16 ENOSPC|')
})

test('messages may be longer than the ring, and come in pieces', () => {
  const store = new StoreClient()
  assert.equal(store.ask(XS.WRITE, `data/long\0${'x'.repeat(2000)}`), '11 OK|')
  assert.equal(store.ask(XS.READ, 'data/long\0')?.length, 2 + 2000)
  assert.equal(store.ask(XS.WRITE, `data/long\0${'x'.repeat(2020)}`), '16 ENOSPC|')
  assert.equal(store.ask(XS.WRITE, `data/bytes\0\x01\0\xff`), '11 OK|')
  assert.equal(store.ask(XS.READ, 'data/bytes\0'), '2 \x01|\xff')
  for (const byte of StoreClient.message(XS.READ, 'name\0')) {
    assert.equal(store.receive(), null)
    store.put(Uint8Array.of(byte))
    store.store.serve()
  }
  assert.equal(store.receive(), '2 me')
})

test('a directory that is read in parts', () => {
  const store = new StoreClient()
  const names = Array.from({ length: 20 }, (_, i) => `${'n'.repeat(90)}${i + 10}`)
  for (const name of names) assert.equal(store.ask(XS.MKDIR, `data/${name}\0`), '12 OK|')
  const whole = store.ask(XS.PART, 'data\x000\0')?.slice(3) ?? ''
  const [generation, ...rest] = whole.split('|')
  assert.match(generation, /^\d+$/)
  assert.deepEqual(rest, [...names, '', ''])
  assert.equal(store.ask(XS.PART, 'data\x001836\0'), `22 ${generation}|${names[19].slice(-23)}||`)
  assert.equal(store.ask(XS.PART, 'data\x005000\0'), `22 ${generation}||`)
})

test('a guest has its limits, and one that takes no replies is answered no more', () => {
  const store = new StoreClient()
  // Some are the guest's from the start, and so are their parents if they had to be made.
  let made = 0
  while (store.ask(XS.WRITE, `data/${made % 30}/${made}\0`) === '11 OK|') made++
  assert.ok(made > 900 && made < 1000, `${made}`)
  assert.equal(store.ask(XS.MKDIR, 'data/x\0'), '16 ENOSPC|')
  assert.equal(store.ask(XS.WRITE, 'data/1/1\0again'), '11 OK|')
  for (let i = 0; i < 128; i++) {
    assert.equal(store.ask(XS.WATCH, `data\0${i}\0`), '4 OK|')
    assert.equal(store.receive(), `15 data|${i}|`)
  }
  assert.equal(store.ask(XS.WATCH, 'data\0more\0'), '16 E2BIG|')
  // Replies of hundreds of bytes, none of which is taken: the requests stay where they are.
  for (let i = 0; i < 40; i++) store.send(XS.DIRECTORY, 'data/1\0')
  let replies = 0
  while (store.receive() !== null) replies++
  assert.equal(replies, 40)
})

test('the events of one request are no more than a guest’s share of memory', () => {
  const store = new StoreClient()
  for (let i = 0; i < 128; i++) {
    store.ask(XS.WATCH, `data\0${'t'.repeat(3900)}${i}\0`)
    store.receive()
  }
  store.ask(XS.START, '\0')
  for (let i = 0; i < 300; i++) store.ask(XS.WRITE, `data/${i % 30}/${i}\0`, 1)
  assert.equal(store.ask(XS.END, 'T\0', 1), '7 OK|')
  const { outgoing } = store.store.save()
  assert.ok(outgoing.length > 2e6 && outgoing.length < 3e6, `${outgoing.length}`)
})

test('a guest that breaks the protocol is not listened to any more', () => {
  const broken: Readonly<Record<string, { breakIt: (store: StoreClient) => void; error: number }>> = {
    'a length that no message has': {
      breakIt: (store) => store.send(XS.READ, 'x'.repeat(5000)),
      error: 3,
    },
    'requests further ahead than the ring is long': {
      breakIt: (store) => store.setIndex(RING.requestProducer, store.index(RING.requestConsumer) + 1025),
      error: 2,
    },
    'requests behind': {
      breakIt: (store) => store.setIndex(RING.requestConsumer, store.index(RING.requestProducer) + 1),
      error: 2,
    },
    'replies taken that there are not': {
      breakIt(store) {
        store.setIndex(RING.replyConsumer, store.index(RING.replyProducer) + 1)
        store.send(XS.READ, 'name\0')
      },
      error: 2,
    },
  }
  for (const [name, { breakIt, error }] of Object.entries(broken)) {
    const store = new StoreClient()
    assert.equal(store.ask(XS.READ, 'name\0'), '2 me')
    breakIt(store)
    store.store.serve()
    assert.equal(store.index(RING.error), error, name)
    const before = store.index(RING.replyProducer)
    store.put(StoreClient.message(XS.READ, 'name\0'))
    store.store.serve()
    assert.equal(store.index(RING.replyProducer), before, name)
  }
})

const SEEDS = [1, 2, 3, 4]
const REQUESTS = 2500
const TYPES = Object.values(XS)
const PATHS = [
  'data',
  'data/a',
  'data/a/b',
  'data/a/b/c',
  'data/d',
  'name',
  'control/shutdown',
  'attr',
  'new',
  '',
  '/',
]

/** A payload that may mean something. */
function payload(random: Random): string {
  const path = (): string =>
    random.pick([...PATHS, `/local/domain/1/${random.pick(PATHS)}`, '//', '@x', `data/${'p'.repeat(300)}`])
  const text = (): string =>
    random.pick(['T', 'F', 'n1', 'r0', 'b1', '0', '3', '', 'x'.repeat(random.between(0, 2100)), path()])
  const parts = Array.from({ length: random.between(0, 4) }, text)
  return [path(), ...parts].join('\0') + random.pick(['\0', '\0', '\0', ''])
}

/** What must hold of the store at any time. */
function check(saved: SavedXenstore): void {
  const { nodes } = saved.session.tree
  const byPath = new Map(nodes.map(([path, node]) => [path, node]))
  let owned = 0
  for (const [path, node] of byPath) {
    if (node.permissions[0].domain === 1) owned++
    assert.ok(bytesOf(node) <= 2048, path)
    for (const name of node.children)
      assert.ok(byPath.has(path === '/' ? `/${name}` : `${path}/${name}`), path)
    if (path !== '/')
      assert.ok(byPath.get(parentOf(path))?.children.includes(path.slice(path.lastIndexOf('/') + 1)))
  }
  assert.ok(owned <= 1000)
  assert.ok(saved.outgoing.length < 3e6 && saved.incoming.length <= 4112 + 1024)
  assert.equal(byPath.get('/local/domain/1/name')?.value, 'me')
}

for (const seed of SEEDS) {
  test(`whatever a guest asks, it is answered, or ignored: seed ${seed}`, () => {
    const random = new Random(seed)
    const store = new StoreClient()
    const seen = new Set<string>()
    for (let i = 0; i < REQUESTS; i++) {
      const transaction = random.once(3) ? random.between(0, 12) : 0
      const bytes = StoreClient.message(random.pick(TYPES), payload(random), transaction)
      // The last one is no message: nobody listens to what is behind it.
      const isBroken = i === REQUESTS - 1
      if (isBroken) for (let n = 0; n < 4; n++) bytes[12 + n] = random.between(0, 256)
      for (let rest: Uint8Array = bytes; rest.length > 0; ) {
        const count = store.put(rest.subarray(0, random.once(4) ? random.between(1, 40) : rest.length))
        store.store.serve()
        if (count === 0 && store.receive() === null) break
        rest = rest.subarray(count)
      }
      for (let n = random.between(0, 6); n > 0; n--) {
        const message = store.receive()
        if (message !== null) seen.add(message.startsWith('16 ') ? message : message.split(' ', 1)[0])
      }
      if (random.once(100)) check(store.store.save())
    }
    check(store.store.save())
    assert.deepEqual(recountMachine(store.m.xen), [])
    assert.ok(seen.size > 11, [...seen].join())
  })
}

test('a store that is saved in the middle goes on as if nothing had been', () => {
  const store = new StoreClient()
  store.ask(XS.WATCH, 'data\0t\0')
  store.receive()
  store.ask(XS.START, '\0')
  store.ask(XS.WRITE, 'data/in\0x', 1)
  const [head, tail] = [Buffer.alloc(20), Buffer.alloc(12)]
  StoreClient.message(XS.WRITE, 'data/a\0one-two-').copy(head, 0, 0, 20)
  StoreClient.message(XS.WRITE, 'data/a\0one-two-').copy(tail, 0, 20)
  store.put(head)
  store.store.serve()
  const saved = structuredClone(store.store.save())
  const m = new PvMachine()
  const other = new Xenstore(m.xen, m.domain, m.mfnOf(m.data), new Map())
  other.restore(saved)
  assert.deepEqual(other.save(), saved)
  for (const [i, byte] of tail.entries()) m.vcpu.store8(m.data + i, byte)
  m.vcpu.store32(m.data + RING.requestProducer, tail.length)
  other.serve()
  // An answer, and the event of the watch.
  assert.equal(m.vcpu.load32(m.data + RING.replyProducer), 16 + 3 + 16 + 'data/a\0t\0'.length)
})
