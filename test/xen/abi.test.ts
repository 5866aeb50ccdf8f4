import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recountMachine } from '../../src/run/check/recount.ts'
import { HYPERCALL, MEMORY_OP, VCPU_TIME, VCPUOP, VM_ASSIST, XENVER } from '../../src/xen/abi.ts'
import { PvMachine } from '../tools/pv-machine.ts'

const { memory_op, vcpu_op, vm_assist, xen_version } = HYPERCALL
const VERSIONS = ['4.14', '4.17', '4.20'] as const

/** What a call of no sense comes to, in 4.14, 4.17 and 4.20: of dom0, and of a domU where that is another answer. */
type Row = readonly [nr: number, dom0: readonly number[], domU?: readonly number[]]

const same = (rc: number): readonly number[] => [rc, rc, rc]

function assertAnswers(rows: readonly Row[], call: (m: PvMachine, nr: number) => number): void {
  for (const [i, version] of VERSIONS.entries()) {
    for (const privileged of [true, false]) {
      const m = new PvMachine(version, privileged)
      for (const [nr, dom0, domU = dom0] of rows) {
        const expected = (privileged ? dom0 : domU)[i]
        assert.equal(call(m, nr), expected, `${nr} in ${version}, ${privileged ? 'dom0' : 'domU'}`)
      }
    }
  }
}

test('hypercalls that are not carried out answer as real Xen does', () => {
  const rows: Row[] = [
    [27, same(-38)],
    [35, same(-13)],
    [36, same(-13)],
    [38, same(-38)],
    [39, same(-38)],
    [40, same(-95)],
    [41, [-1, -61, -61], [-22, -61, -61]],
    [42, same(-22), same(-1)],
    [43, same(-38)],
    [48, same(-14), same(-1)],
    [49, same(-14)],
    [56, same(-38)],
  ]
  assertAnswers(rows, (m, nr) => m.call(nr, 0, 0, 0, 0, 0))
})

test('operations on memory answer to an argument of zeros as real Xen does', () => {
  const rows: Row[] = [
    [MEMORY_OP.add_to_physmap, same(-13)],
    [MEMORY_OP.memory_map, same(-38)],
    [MEMORY_OP.machine_memory_map, same(0), same(-1)],
    [MEMORY_OP.maximum_gpfn, same(0)],
    [MEMORY_OP.remove_from_physmap, same(-13)],
    [MEMORY_OP.set_pod_target, [0, -22, -22], [-1, -22, -22]],
    [MEMORY_OP.get_pod_target, [0, -22, -22], [-1, -22, -22]],
    [MEMORY_OP.get_sharing_freed_pages, same(0)],
    [MEMORY_OP.get_sharing_shared_pages, same(0)],
    [MEMORY_OP.paging_op, [-1, -38, -38]],
    [MEMORY_OP.access_op, same(-1), same(-22)],
    [22, same(-38)],
    [MEMORY_OP.add_to_physmap_batch, same(-13)],
    [MEMORY_OP.claim_pages, same(-22)],
    [MEMORY_OP.machphys_compat_mfn_list, [-14, -95, -95], [0, -95, -95]],
    [MEMORY_OP.get_vnumainfo, same(-95)],
    [MEMORY_OP.reserved_device_memory_map, same(-22)],
    [MEMORY_OP.acquire_resource, [-22, -3, -3]],
    [29, same(-38)],
  ]
  assertAnswers(rows, (m, op) => m.op(memory_op, op, []).rc)
  // Nothing can be read there.
  assert.equal(new PvMachine().call(memory_op, MEMORY_OP.claim_pages, 0), -14)
})

test('dom0 and its features: PAE by a note until 4.17, by the assist since', () => {
  for (const [version, features] of [
    ['4.1', 0xf0],
    ['seed', 0xf0],
    ['4.14', 0x28f0],
    ['4.17', 0x2_28f0],
    ['4.20', 0x1e_28e0],
  ] as const) {
    const m = new PvMachine(version, true)
    assert.equal(m.op(xen_version, XENVER.get_features, [0]).words[1], features, version)
    assert.equal(m.call(vm_assist, 0, VM_ASSIST.pae_extended_cr3), 0)
    assert.equal(m.op(xen_version, XENVER.get_features, [0]).words[1], features | 0x10, version)
  }
})

test('texts of any length are 4.20’s', () => {
  const m = new PvMachine('4.20', true)
  const command = [XENVER.extraversion2, XENVER.capabilities2, XENVER.changeset2, XENVER.commandline2]
  assert.deepEqual(
    command.map((nr) => m.call(xen_version, nr, 0)),
    [2, 61, 0, 0],
  )
  const read = (room: number): number => m.op(xen_version, XENVER.extraversion2, [room]).rc
  assert.deepEqual([read(0), read(1), read(2)], [-22, -105, 2])
  assert.equal(m.words(m.data + 4, 1)[0] & 0xffff, 0x342e)
  assert.equal(m.call(xen_version, XENVER.extraversion2, 1), -14)
  assert.equal(m.call(xen_version, 15, 0), -38)
  assert.equal(new PvMachine('4.20').call(xen_version, XENVER.commandline2, 0), -1)
  assert.equal(new PvMachine('4.17', true).call(xen_version, XENVER.extraversion2, 0), -38)
})

test('the build id is dom0’s to know, and so is where its vCPU is', () => {
  for (const version of VERSIONS) {
    const [dom0, domU] = [new PvMachine(version, true), new PvMachine(version)]
    assert.deepEqual(
      [dom0, domU].map((m) => m.call(xen_version, XENVER.build_id, 0)),
      [20, -1],
    )
    assert.deepEqual(
      [dom0, domU].map((m) => m.call(vcpu_op, VCPUOP.get_physid, 0, m.data)),
      [0, -22],
    )
  }
  const old = new PvMachine('4.1', true)
  assert.equal(old.call(xen_version, XENVER.build_id, 0), -38)
  assert.equal(old.call(vcpu_op, VCPUOP.get_physid, 0, old.data), -38)
})

test('where a vcpu_info may lie, and when it is too late, is said in another number by each', () => {
  for (const [version, crooked, table, again, crookedAgain] of [
    ['4.14', -22, -22, -22, -22],
    ['4.17', -6, -22, -22, -6],
    ['4.20', -6, -13, -16, -16],
  ] as const) {
    const m = new PvMachine(version)
    const mfn = m.mfnOf(m.data + 0x1000)
    assert.deepEqual(
      [registerAt(m, mfn, 4), registerAt(m, m.vcpu.root, 0), registerAt(m, mfn, 0x40)],
      [crooked, table, 0],
      version,
    )
    assert.deepEqual([registerAt(m, mfn, 0x40), registerAt(m, mfn, 4)], [again, crookedAgain], version)
  }
})

/** vcpu_op takes the vCPU before the structure. */
function registerAt(m: PvMachine, mfn: number, offset: number): number {
  m.setWords(m.data, [mfn, 0, offset, 0])
  return m.call(vcpu_op, VCPUOP.register_vcpu_info, 0, m.data)
}

test('4.20 shares the run state and the time by physical address, and holds the page as long', () => {
  const m = new PvMachine('4.20')
  const [runstateArea, timeArea] = [VCPUOP.register_runstate_phys_area, VCPUOP.register_vcpu_time_phys_area]
  const page = m.data + 0x1000
  const mfn = m.mfnOf(page)
  const register = (command: number, address: number): number => {
    const [lo, hi] = [address >>> 0, Math.floor(address / 2 ** 32) >>> 0]
    m.setWords(m.data, [lo, hi])
    return m.call(vcpu_op, command, 0, m.data)
  }
  const NOTHING = -1
  for (const [command, bytes] of [
    [runstateArea, 48],
    [timeArea, VCPU_TIME.bytes],
  ]) {
    assert.equal(register(command, NOTHING), 0)
    assert.equal(register(command, mfn * 4096 + 4), -6)
    assert.equal(register(command, mfn * 4096 + 4096 - bytes + 8), -6)
    assert.equal(register(command, m.xen.m2p.firstFrame * 4096), -22)
    assert.equal(register(command, m.vcpu.root * 4096), -13)
  }
  assert.equal(register(runstateArea, mfn * 4096 + 0x100), 0)
  assert.equal(register(timeArea, mfn * 4096 + 0x200), 0)
  assert.deepEqual(m.words(page + 0x100, 2), [0, 0])
  assert.equal(m.words(page + 0x108, 1)[0], m.xen.clock.now - 1000)
  assert.equal(m.words(page + 0x200 + VCPU_TIME.version, 1)[0], m.frame(m.domain.sharedInfo, 32, 1)[0])
  assert.deepEqual(recountMachine(m.xen), [])
  assert.equal(register(runstateArea, NOTHING), 0)
  assert.equal(register(timeArea, NOTHING), 0)
  assert.deepEqual(recountMachine(m.xen), [])
  const older = new PvMachine('4.17')
  assert.equal(older.call(vcpu_op, runstateArea, 0, older.data), -38)
})
