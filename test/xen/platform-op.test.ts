import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HYPERCALL, SHARED_INFO, XENPF, XENPF_INTERFACE_VERSION } from '../../src/xen/abi.ts'
import { PvMachine } from '../tools/pv-machine.ts'

const { platform_op, mca, kexec_op } = HYPERCALL
const [EPERM, ESRCH, EACCES, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP] = [-1, -3, -13, -14, -22, -38, -95]

/** An operation of the platform: its result, and the words behind its version. */
function platform(
  m: PvMachine,
  command: number,
  words: readonly number[] = [],
): { rc: number; words: number[] } {
  const body = Array.from({ length: 32 }, (_, i) => words[i] ?? 0)
  m.setWords(m.data, [command, XENPF_INTERFACE_VERSION, ...body])
  const rc = m.call(platform_op, m.data)
  return { rc, words: m.words(m.data + 8, 8) }
}

const dom0 = (version?: string): PvMachine => new PvMachine(version, true)

test('the version of the structure is looked at before the caller, but in 2011', () => {
  for (const [version, first] of [
    ['4.17', EACCES],
    ['4.1', EPERM],
  ] as const) {
    const m = new PvMachine(version)
    m.setWords(m.data, [XENPF.getidletime, 1])
    assert.equal(m.call(platform_op, m.data), first)
    assert.equal(platform(m, XENPF.settime32).rc, EPERM)
  }
  const m = dom0()
  assert.equal(m.call(platform_op, 0x1000), EFAULT)
  // All of it is read, whatever is asked for: 136 bytes.
  const end = m.at(0x201) + 0x1000
  assert.equal(m.map(0x202, 0), 0)
  m.setWords(end - 136, [XENPF.getidletime, XENPF_INTERFACE_VERSION])
  assert.equal(m.call(platform_op, end - 136), ENOSYS)
  m.setWords(end - 132, [XENPF.getidletime, XENPF_INTERFACE_VERSION])
  assert.equal(m.call(platform_op, end - 132), EFAULT)
})

test('dom0 sets the clock of every domain to what shows the time given', () => {
  const m = dom0()
  const other = m.xen.addDomain(5, false)
  other.sharedInfo = m.xen.allocateXenFrame(other.owner)
  const clock = (sharedInfo: number): number[] => m.frame(sharedInfo, SHARED_INFO.wc_version, 4)
  const before = clock(m.domain.sharedInfo)[0]
  assert.equal(platform(m, XENPF.settime32, [1000, 500, 2_000_000_000, 0]).rc, 0)
  assert.deepEqual(clock(m.domain.sharedInfo), [before + 2, 998, 500, 0])
  assert.deepEqual(clock(other.sharedInfo), [2, 998, 500, 0])
  assert.equal(platform(m, XENPF.settime64, [7, 1, 5, 0, 0, 1]).rc, 0)
  assert.deepEqual(clock(other.sharedInfo).slice(1), [2, 705_032_709, 1])
  assert.equal(platform(m, XENPF.settime64, [7, 1, 5, 1, 0, 0]).rc, EINVAL)
  assert.deepEqual(clock(other.sharedInfo).slice(1), [2, 705_032_709, 1])
  assert.equal(platform(dom0('4.1'), XENPF.settime64).rc, ENOSYS)
})

test('there is one CPU for each vCPU of dom0, and nothing that its firmware found', () => {
  const m = dom0()
  assert.deepEqual(platform(m, XENPF.get_cpuinfo, [0, 9, 9, 9, 9]).words.slice(0, 5), [0, 0, 1, 0, 0])
  assert.deepEqual(platform(m, XENPF.get_cpuinfo, [4, 9, 9, 9, 9]).words.slice(0, 5), [4, 0, 2, 9, 9])
  const firmware = (type: number, index = 0): number => platform(m, XENPF.firmware_info, [type, index]).rc
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 6].map((type) => firmware(type)),
    [EINVAL, ESRCH, ESRCH, ESRCH, ENOSYS, 0, EINVAL],
  )
  assert.equal(firmware(5, 1), ESRCH)
  const online = (command: number, cpu: number): number => platform(m, command, [cpu]).rc
  assert.deepEqual([online(XENPF.cpu_online, 0), online(XENPF.cpu_online, 1)], [0, EINVAL])
  assert.deepEqual([online(XENPF.cpu_offline, 0), online(XENPF.cpu_offline, 1)], [EOPNOTSUPP, EINVAL])
  assert.deepEqual([platform(m, XENPF.change_freq).rc, platform(m, 99).rc], [ENOSYS, ENOSYS])
})

test('what a CPU can do to sleep is read, and stays as it is', () => {
  const m = dom0()
  const at = m.data + 0x200
  const say = (bits: readonly number[], va = at): number => {
    m.setWords(at, bits)
    return platform(m, XENPF.set_processor_pminfo, [0, 3, va >>> 0, 0xffff_ffff]).rc
  }
  assert.deepEqual([say([1, 1, 0x15]), say([2, 1, 0x15]), say([1, 0, 0x15])], [0, EINVAL, EINVAL])
  assert.equal(say([1, 1, 0x15], 0x8000_0000_0000), EFAULT)
  assert.deepEqual(m.words(at, 3), [1, 1, 0x15])
})

test('a range of memory types is where devices are, as long as no RAM is', () => {
  const m = dom0()
  assert.deepEqual(platform(m, XENPF.read_memtype, [0]).words.slice(2, 7), [0x8_0000, 0, 0x8_0000, 0, 0])
  assert.deepEqual(platform(m, XENPF.read_memtype, [7]).words.slice(2, 7), [0, 0, 0, 0, 0])
  assert.equal(platform(m, XENPF.read_memtype, [8]).rc, EINVAL)
})

test('of machine checks there are none, and of CPUs so many', () => {
  const m = dom0()
  const ask = (words: readonly number[]): number => {
    m.setWords(m.data, [...words, 0, 0, 0, 0, 0, 0].slice(0, 8))
    return m.call(mca, m.data)
  }
  const VERSION = 0x01ec_c003
  assert.deepEqual([ask([3, 1]), ask([2, VERSION]), ask([1, VERSION, 1])], [EACCES, EINVAL, EINVAL])
  assert.equal(ask([3, VERSION]), 0)
  assert.equal(m.words(m.data + 8, 1)[0], 1)
  const to = m.at(0x204)
  m.setWords(
    to,
    Array.from({ length: 80 }, () => 7),
  )
  assert.equal(ask([3, VERSION, 4, 0, to >>> 0, 0xffff_ffff]), 0)
  assert.deepEqual([m.words(m.data + 8, 1)[0], m.words(to, 8)], [1, [0, 0, 0, 0, 0, 1, 1, 1]])
  assert.deepEqual(m.words(to + 304, 1), [7])
  assert.equal(ask([3, VERSION, 0, 0, to >>> 0, 0xffff_ffff]), EINVAL)
  assert.equal(ask([1, VERSION, 2, 0, 0, 0, to >>> 0, 0xffff_ffff]), 0)
  assert.equal(m.words(m.data + 8, 1)[0], 2)
  assert.equal(new PvMachine().call(mca, 0), EPERM)
})

test('no memory is set aside for the kernel of a crash', () => {
  const m = dom0()
  m.setWords(m.data, [0, 0, 9, 9, 9, 9])
  assert.equal(m.call(kexec_op, 3, m.data), 0)
  assert.deepEqual(m.words(m.data, 6), [0, 0, 0, 0, 0, 0])
  assert.equal(m.call(kexec_op, 3, 0x1000), EFAULT)
  assert.deepEqual([m.call(kexec_op, 99, 0), dom0('4.20').call(kexec_op, 99, 0)], [0, EOPNOTSUPP])
  assert.equal(new PvMachine().call(kexec_op, 3, m.data), EPERM)
})
