import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { recountMachine } from '../../../src/run/check/recount.ts'
import { KernelRun } from '../../../src/run/kernel/kernel-boot.ts'
import { type DebianFile, debianBusybox, debianKernel, type Suite } from '../../tools/debian.ts'
import { busyboxInitramfs, INIT_MARK } from '../../tools/initramfs.ts'

/** Debian's kernels, unmodified, as dom0 of real machines. CI boots one, LONG=true each of them on several maps. */
const isLong = process.env.LONG === 'true'
const isAsked = isLong || process.env.CI === 'true' || process.env.XENOLITH_KERNELS === '1'
const notAsked = 'boots of real kernels take minutes: XENOLITH_KERNELS=1 runs them'

type Boot = { readonly suite: Suite; readonly xen: string; readonly map: string; readonly memory?: number }

/** A run that is over; null where a file is missing, which the context is told. */
function boot(
  context: TestContext,
  { suite, xen, map, memory }: Boot,
): { run: KernelRun; text: string } | null {
  const [kernel, busybox] = [debianKernel({ suite, name: 'linux-image-amd64' }), debianBusybox()]
  for (const file of [kernel, busybox]) if ('reason' in file) context.skip(file.reason)
  if ('reason' in kernel || 'reason' in busybox) return null
  const run = new KernelRun({
    kernel: kernel satisfies DebianFile,
    xen,
    ramdisk: {
      name: 'initramfs',
      bytes: busyboxInitramfs(busybox, ['head -1 /proc/meminfo', 'poweroff -f']),
    },
    ...(memory === undefined ? {} : { memory }),
    append: 'console=hvc0 earlyprintk=xen',
    timeLimit: 60,
    dom0: { map },
  })
  run.runToEnd()
  const lines = run.result().console.map((line) => line.replace(/^\[[ .\d]+\] /, ''))
  return { run, text: lines.join('\n') }
}

test("Debian's kernel boots as dom0 of a machine of 2 GiB", { skip: !isAsked && notAsked }, (context) => {
  const done = boot(context, { suite: 'bookworm', xen: '4.17', map: 'dell-vostro-1700-2g', memory: 0x40000 })
  if (done === null) return
  const { run, text } = done
  assert.equal(run.outcome, 'poweroff', text)
  assert.ok(text.includes(`\n${INIT_MARK}\n`), text)
  // The host's map, with what is left of its RAM for pages that it may get back one day.
  assert.match(text, /^Xen: \[mem 0x0000000000100000-0x000000007[\da-f]+\] usable$/m)
  assert.match(text, /^Setting APIC routing to Xen PV\.$/m)
  assert.match(text, /^ACPI: Interpreter enabled$/m)
  assert.match(text, /^rtc_cmos rtc_cmos: setting system clock to 2026-01-01T/m)
  assert.match(text, /^MemTotal: +\d+ kB$/m)
  assert.doesNotMatch(text, /\(XEN\)|BUG:|Oops|Call Trace|WARNING/)
  assert.deepEqual(recountMachine(run.machine.xen), [])
})

const KERNELS = [
  ['bullseye', '4.14-release'],
  ['bookworm', '4.17-release'],
  ['trixie', '4.20-release'],
  ['sid', '4.21'],
] as const
/** Old and new firmware, one with RAM from above 100 GiB on, and one that keeps ACPI NVS at 64 MiB. */
const NVS_AT_64M = 'threadripper-asus-wrx80e-448gb'
const MACHINES = [
  ['xen41-dell-m08-2gb', 0x60000],
  ['msi-h61m-p23-8g', 0x80000],
  ['xen414-supermicro-skylake-128gb', 0x80000],
  [NVS_AT_64M, 0x100000],
] as const

for (const [suite, xen] of KERNELS) {
  for (const [map, memory] of MACHINES) {
    test(`${suite}'s kernel as dom0 of ${map} on Xen ${xen}`, {
      skip: !isLong && 'LONG=true runs it',
    }, (context) => {
      const done = boot(context, { suite, xen, map, memory })
      if (done === null) return
      const { run, text } = done
      assert.equal(run.outcome, 'poweroff', text)
      // Before 6.12 a kernel gives up where the firmware has something in its own place, and says so.
      const givesUp = map === NVS_AT_64M && (suite === 'bullseye' || suite === 'bookworm')
      const told = 'Xen hypervisor allocated kernel memory conflicts with E820 map'
      assert.equal(text.includes(told), givesUp, text)
      assert.equal(text.includes(`\n${INIT_MARK}\n`), !givesUp, text)
      assert.doesNotMatch(text, /\(XEN\)|BUG:|Oops/)
      assert.deepEqual(recountMachine(run.machine.xen), [])
    })
  }
}
