import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { recountMachine } from '../../../src/run/check/recount.ts'
import { bootKernel, KernelRun, type NamedFile } from '../../../src/run/kernel/kernel-boot.ts'
import { xenVersionNames } from '../../../src/xen/versions/index.ts'
import { type DebianFile, debianBusybox, debianGrub, debianKernel, type Missing } from '../../tools/debian.ts'
import { busyboxInitramfs, INIT_MARK } from '../../tools/initramfs.ts'

/** Debian's kernels and GRUB, unmodified, as guests. A boot takes half a minute: CI does them, and whoever asks. */
const isAsked = process.env.CI === 'true' || process.env.XENOLITH_KERNELS === '1'
const notAsked = 'boots of real kernels take minutes: XENOLITH_KERNELS=1 runs them'

const KERNELS = ['linux-image-cloud-amd64', 'linux-image-amd64']
const PAGES = 0x1_0000

/** Give up where a file is missing, with the reason. */
function needed<T extends object>(context: TestContext, file: T | Missing): file is T {
  if (!('reason' in file)) return true
  context.skip(file.reason)
  return false
}

function ramdisk(busybox: Uint8Array, commands: readonly string[] = []): NamedFile {
  return { name: 'initramfs', bytes: busyboxInitramfs(busybox, commands) }
}

/** What somebody types at the shell. */
const TYPED = [
  'uname -a',
  'cat /proc/meminfo',
  'for i in 1 2 3; do echo round $i; done',
  'echo through a pipe | tr a-z A-Z',
  'n=0; while [ $n -lt 200 ]; do /bin/busybox true && n=$((n+1)); done; echo $n processes',
  'sleep 5; echo slept',
  'poweroff -f',
]

for (const metaPackage of KERNELS) {
  test(`${metaPackage} boots to a shell and does what it is told`, {
    skip: !isAsked && notAsked,
  }, (context) => {
    const [kernel, busybox] = [debianKernel({ suite: 'bookworm', name: metaPackage }), debianBusybox()]
    if (!needed<DebianFile>(context, kernel) || !needed<Uint8Array>(context, busybox)) return
    const result = bootKernel({
      kernel,
      ramdisk: ramdisk(busybox),
      memory: PAGES,
      append: 'console=hvc0 quiet',
      input: Buffer.from(TYPED.map((line) => `${line}\n`).join('')),
      timeLimit: 300,
    })
    const text = result.console.join('\n')
    assert.equal(result.outcome, 'poweroff', text)
    assert.match(text, /^Linux \(none\) 6\.\d+\.\d+-\S* #1 SMP .* x86_64 GNU\/Linux$/m)
    const total = Number(/MemTotal: +(\d+) kB/.exec(text)?.[1])
    assert.ok(total > 180_000 && total < 262_144, `MemTotal ${total}`)
    for (const line of ['round 1', 'round 2', 'round 3', 'THROUGH A PIPE', '200 processes', 'slept']) {
      assert.ok(result.console.includes(line), line)
    }
    assert.doesNotMatch(text, /\(XEN\)|BUG:|Oops|Call Trace|WARNING/)
  })
}

/** Kernels of 5.10, 6.1, 6.12 and 7.x, and the Xen that each suite ships, or, of sid, the newest there is. */
const GENERATIONS = [
  ['bullseye', '4.14-release', /^Linux version 5\.10\./],
  ['bookworm', '4.17-release', /^Linux version 6\.1\./],
  ['trixie', '4.20-release', /^Linux version 6\.12\./],
  ['sid', '4.21', /^Linux version [7-9]\./],
] as const
/** Every kernel on every version takes some ten minutes: LONG=true does that, CI each kernel on its own suite's Xen. */
const isLong = process.env.LONG === 'true'

for (const [suite, own, banner] of GENERATIONS) {
  for (const xen of isLong ? xenVersionNames() : [own]) {
    test(`${suite}'s kernel boots to a shell on Xen ${xen}`, {
      skip: !isAsked && !isLong && notAsked,
    }, (context) => {
      const [kernel, busybox] = [debianKernel({ suite, name: 'linux-image-cloud-amd64' }), debianBusybox()]
      if (!needed<DebianFile>(context, kernel) || !needed<Uint8Array>(context, busybox)) return
      const result = bootKernel({
        kernel,
        xen,
        ramdisk: ramdisk(busybox, ['poweroff -f']),
        memory: PAGES,
        append: 'console=hvc0',
        timeLimit: 60,
      })
      const text = result.console.join('\n')
      assert.equal(result.outcome, 'poweroff', text)
      assert.ok(result.console.includes(INIT_MARK), text)
      assert.ok(
        result.console.some((line) => banner.test(line.replace(/^\[[ .\d]+\] /, ''))),
        text,
      )
      assert.doesNotMatch(text, /\(XEN\)|BUG:|Oops|Call Trace/)
    })
  }
}

test('the same kernel twice is the same to the instruction', { skip: !isAsked && notAsked }, (context) => {
  const [kernel, busybox] = [debianKernel({ suite: 'bookworm', name: KERNELS[0] }), debianBusybox()]
  if (!needed<DebianFile>(context, kernel) || !needed<Uint8Array>(context, busybox)) return
  const run = () => {
    const files = { kernel, ramdisk: ramdisk(busybox, ['poweroff -f']) }
    return bootKernel({ ...files, memory: PAGES, append: 'console=hvc0', timeLimit: 60 })
  }
  const [first, second] = [run(), run()]
  assert.equal(first.outcome, 'poweroff')
  assert.ok(first.console.includes(INIT_MARK))
  assert.deepEqual(second, first)
})

test('all counts are right throughout the boot of a kernel', { skip: !isAsked && notAsked }, (context) => {
  const [kernel, busybox] = [debianKernel({ suite: 'bookworm', name: KERNELS[0] }), debianBusybox()]
  if (!needed<DebianFile>(context, kernel) || !needed<Uint8Array>(context, busybox)) return
  const files = { kernel, ramdisk: ramdisk(busybox, ['ls | wc', 'poweroff -f']) }
  const run = new KernelRun({ ...files, memory: 0x8000, append: 'console=hvc0', timeLimit: 60 })
  const { guest, xen } = run.machine
  let calls = 0
  let counts = 0
  guest.afterHypercall = () => {
    // A count looks at every entry of every table.
    if (++calls % 2000 === 0) {
      assert.deepEqual(recountMachine(xen), [], `after ${calls} hypercalls`)
      counts++
    }
    return true
  }
  assert.equal(run.runToEnd(), 'poweroff')
  assert.deepEqual(recountMachine(xen), [])
  assert.ok(counts > 20, `${counts} counts`)
})

test('GRUB shows its prompt and halts', { skip: !isAsked && notAsked }, (context) => {
  const grub = debianGrub()
  if (!needed<DebianFile>(context, grub)) return
  let text = ''
  const run = new KernelRun(
    { kernel: grub, memory: 0x4000, append: '' },
    {
      output: (bytes) => {
        text += Buffer.from(bytes).toString('latin1')
      },
    },
  )
  const until = (wanted: RegExp): void => {
    for (let i = 0; i < 100 && !wanted.test(text); i++) run.step(5_000_000)
    assert.match(text, wanted)
  }
  until(/grub> $/)
  text = ''
  run.machine.console.type(Buffer.from('echo twice twice\r'))
  until(/\n\r*twice twice\n\r*grub> $/)
  run.machine.console.type(Buffer.from('halt\r'))
  for (let i = 0; i < 100 && run.outcome === null; i++) run.step(5_000_000)
  assert.equal(run.outcome, 'poweroff')
})
