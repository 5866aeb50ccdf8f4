import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { KernelRun } from '../../../src/run/kernel/kernel-boot.ts'
import { TIERS, type Tier } from '../../../src/run/tiers.ts'
import { debianBusybox, debianKernel, type Suite } from '../../tools/debian.ts'
import { busyboxInitramfs, INIT_MARK } from '../../tools/initramfs.ts'

/** Debian's kernels on both tiers: the same console, counts and machine, to the byte, at every stop. */
const isAsked = process.env.CI === 'true' || process.env.XENOLITH_KERNELS === '1'
const skip = !isAsked && 'boots of real kernels take minutes: XENOLITH_KERNELS=1 runs them'

/** Instructions between two stops: no round number, and no multiple of what the core or the guest does at a time. */
const STRIDE = 311_111_111
const MAP = 'xen416-qemu-tcg-2gb'

type Boot = { readonly suite: Suite; readonly domain: 'domU' | 'dom0'; readonly tier: Tier }

/** What a boot came to at each stop: its result, and a hash of the machine; null where a file is missing. */
function stopsOf(context: TestContext, { suite, domain, tier }: Boot): readonly object[] | null {
  const [kernel, busybox] = [debianKernel({ suite, name: 'linux-image-amd64' }), debianBusybox()]
  for (const file of [kernel, busybox]) if ('reason' in file) context.skip(file.reason)
  if ('reason' in kernel || 'reason' in busybox) return null
  const run = new KernelRun({
    kernel,
    ramdisk: { name: 'initramfs', bytes: busyboxInitramfs(busybox, ['cat /proc/interrupts', 'poweroff -f']) },
    memory: 0x1_0000,
    append: 'console=hvc0 earlyprintk=xen',
    timeLimit: 60,
    core: { tier },
    ...(domain === 'dom0' ? { dom0: { map: MAP } } : {}),
  })
  const stops: object[] = []
  let next = STRIDE
  const { guest } = run.machine
  guest.whenIdle = 'skip'
  while (run.outcome === null) {
    run.step(next - guest.cpu.instructions)
    if (guest.cpu.instructions < next) continue
    const hash = createHash('sha256')
    for (const part of run.snapshotParts()) hash.update(part)
    stops.push({ instructions: guest.cpu.instructions, machine: hash.digest('hex') })
    next += STRIDE
  }
  return [...stops, run.result()]
}

for (const [suite, domain] of [
  ['bookworm', 'domU'],
  ['trixie', 'dom0'],
] as const) {
  test(`Debian's kernel of ${suite} as ${domain} is the same on both tiers, at every stop`, {
    skip,
  }, (context) => {
    const [expected, found] = TIERS.map((tier) => stopsOf(context, { suite, domain, tier }))
    if (expected === null || found === null) return
    assert.match(JSON.stringify(expected.at(-1)), new RegExp(INIT_MARK))
    assert.ok(expected.length > 5)
    for (const [i, stop] of expected.entries()) assert.deepEqual(found[i], stop)
    assert.equal(found.length, expected.length)
  })
}
