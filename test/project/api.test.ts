import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as library from '../../src/index.ts'
import {
  BadInput,
  createMachine,
  DOMID,
  DomainCrash,
  entryHi,
  entryLo,
  HYPERCALL,
  type Machine,
  MMUEXT,
  PAGE,
  R10,
  RDI,
  RDX,
  REGION,
  RSI,
  START_INFO,
  type TraceEvent,
} from '../../src/index.ts'
import { root } from '../tools/tools.ts'

/** Pages of the guest that nothing else uses: the initial mapping has all from 1 MiB to the kernel at 16 MiB. */
const TABLE = 0x200
const TARGET = 0x201
const REQUEST = 0x202
/** Flags of an entry, as the CPU reads them: present, writable, user. */
const [P, RW, US] = [1, 2, 4]
const EBUSY = -16
const EINVAL = -22

const addressOf = (pfn: number) => REGION.kernelMap + pfn * PAGE

function mfnOf({ vcpu, layout }: Machine, pfn: number): number {
  return vcpu.load64(REGION.kernelMap + layout.mfnList + pfn * 8)
}

function mmuext({ vcpu }: Machine, command: number, mfn: number): number {
  vcpu.store64(addressOf(REQUEST), command, 0)
  vcpu.store64(addressOf(REQUEST) + 8, mfn, 0)
  vcpu.setVa(RDI, addressOf(REQUEST))
  vcpu.set(RSI, 1)
  vcpu.set(RDX, 0)
  vcpu.set(R10, DOMID.SELF)
  return vcpu.hypercall(HYPERCALL.mmuext_op)
}

/** Change the guest's own mapping of one of its pages. */
function remap(machine: Machine, pfn: number, flags: number): number {
  const { vcpu } = machine
  const mfn = mfnOf(machine, pfn)
  vcpu.setVa(RDI, addressOf(pfn))
  vcpu.set(RSI, entryLo(mfn, flags), entryHi(mfn))
  vcpu.set(RDX, 0)
  return vcpu.hypercall(HYPERCALL.update_va_mapping)
}

test('a guest of one’s own writes a table, is refused, sees why, and is let through', () => {
  const machine = createMachine()
  const { vcpu } = machine
  const table = mfnOf(machine, TABLE)
  const target = mfnOf(machine, TARGET)
  vcpu.store64(addressOf(TABLE) + 7 * 8, entryLo(target, P | RW | US), entryHi(target))

  assert.equal(mmuext(machine, MMUEXT.PIN_L1_TABLE, table), EINVAL)
  const bad = `(XEN) mm.c:2466:d1 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn ${table.toString(16)} (pfn 200)`
  assert.deepEqual(machine.xenConsole(), [
    bad,
    `(XEN) mm.c:3027:d1 Error while pinning mfn ${table.toString(16)}`,
  ])
  assert.deepEqual(machine.frame(table), {
    mfn: table,
    pfn: TABLE,
    type: 'writable',
    typeCount: 1,
    refCount: 2,
    pinned: false,
    validated: true,
    owner: 1,
    typeWord: '7400000000000001',
  })
  const [holder, ...others] = machine.holders(table)
  assert.deepEqual(others, [])
  assert.equal(holder.slot, TABLE % 512)
  assert.ok(holder.writable)
  assert.equal(machine.frame(holder.table)?.type, 'l1')
  assert.equal(machine.frame(holder.table)?.pfn, holder.tablePfn)

  // What the message asks for: no writable mapping of the page.
  assert.equal(remap(machine, TABLE, P | US), 0)
  assert.equal(mmuext(machine, MMUEXT.PIN_L1_TABLE, table), 0)
  const pinned = machine.frame(table)
  assert.deepEqual([pinned?.type, pinned?.typeCount, pinned?.pinned], ['l1', 1, true])
  assert.equal(machine.holders(table)[0].writable, false)
  // The table's own entry is a reference too.
  assert.ok(machine.holders(target).some((h) => h.table === table && h.slot === 7 && h.tablePfn === TABLE))
  // A table may not be mapped writable again.
  assert.equal(remap(machine, TABLE, P | RW | US), EBUSY)
  assert.equal(machine.xenConsole().length, 4)
})

test('machines are apart from each other and from boots', () => {
  const one = createMachine()
  const two = createMachine({ xen: '4.17', memory: 0x8000 })
  library.boot()
  assert.equal(remap(one, TABLE, P | US), 0)
  assert.equal(mmuext(one, MMUEXT.PIN_L1_TABLE, mfnOf(one, TABLE)), 0)
  const frame = mfnOf(two, TABLE)
  assert.equal(two.frame(frame)?.pinned, false)
  assert.equal(mmuext(two, MMUEXT.PIN_L1_TABLE, frame), EINVAL)
  assert.match(
    two.xenConsole()[0],
    /^\(XEN\) arch\/x86\/mm\.c:\d+:d1v0 Bad type \(saw e400000000000001 != exp 2/,
  )
  assert.deepEqual(one.xenConsole(), [])
})

test('a machine is what its options say', () => {
  const machine = createMachine({ domain: 'dom0', map: 'amd1thole', memory: 0x10000, vEnd: 0x400_0000 })
  assert.equal(machine.layout.vEnd, 0x400_0000)
  assert.equal(
    machine.vcpu.load64(REGION.kernelMap + machine.layout.startInfo + START_INFO.nr_pages),
    0x10000,
  )
  assert.equal(machine.frame(mfnOf(machine, TABLE))?.owner, 0)
  // The first MiB is no domain's, a frame that nobody took is free, and far beyond the RAM there is none.
  assert.equal(machine.frame(0)?.owner, DOMID.IO)
  assert.equal(machine.frame(0)?.pfn, null)
  assert.equal(machine.frame(0x20000)?.owner, null)
  assert.equal(machine.frame(2 ** 39), null)
  assert.throws(() => createMachine({ xen: '4.71' }), BadInput)
  assert.throws(() => createMachine({ memory: 1 }), BadInput)
})

test('a sink receives the events of a machine', () => {
  const events: TraceEvent[] = []
  const machine = createMachine({}, (event) => events.push(event))
  mmuext(machine, MMUEXT.PIN_L1_TABLE, mfnOf(machine, TABLE))
  assert.deepEqual(
    events.map((event) => event.kind),
    ['fill', 'fill', 'console', 'console', 'hypercall'],
  )
})

test('a page fault that no handler takes ends the domain', () => {
  const machine = createMachine()
  assert.throws(() => machine.vcpu.store8(REGION.directMap, 1), DomainCrash)
  assert.throws(() => mmuext(machine, MMUEXT.TLB_FLUSH_LOCAL, 0), DomainCrash)
})

test('docs/api.md leads to every export', () => {
  const text = readFileSync(`${root}docs/api.md`, 'utf8')
  const linked = new Set([...text.matchAll(/\{@link (\w+)/g)].map((match) => match[1]))
  const source = readFileSync(`${root}src/index.ts`, 'utf8')
  const exported = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)]
    .flatMap((match) => match[1].split(','))
    .map((name) => name.trim().replace(/^type /, ''))
    .filter((name) => name !== '')
  assert.ok(exported.length >= Object.keys(library).length)
  assert.deepEqual(
    exported.filter((name) => !linked.has(name)),
    [],
  )
})
