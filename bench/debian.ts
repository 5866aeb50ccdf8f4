import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findTools } from '../oracle/tools.ts'
import { BadInput } from '../src/bits/bad-input.ts'
import { type KernelOptions, KernelRun } from '../src/run/kernel/kernel-boot.ts'
import { debianBusybox, debianKernel } from '../test/tools/debian.ts'
import { busyboxInitramfs, INIT_MARK } from '../test/tools/initramfs.ts'
import { qemuVersion } from './cpu/qemu.ts'
import { inChild, median, spread } from './measure.ts'

/** Debian's kernel from the start of the program to its first process, here and on real Xen under QEMU. */
export const name = 'debian'
export const about =
  'seconds until Debian’s kernel runs /init, as a guest and as dom0, beside real Xen under QEMU; three minutes'

/** This one can be dom0, too, which the kernel for clouds cannot. */
const KERNEL = 'linux-image-amd64'
const ROUNDS = 3
const PAGES = 0x2_0000
const APPEND = 'console=hvc0'
/** What dom0 has on its command line, here and there. */
const DOM0_APPEND = `${APPEND} earlyprintk=xen`
/** The map of QEMU's usual machine with 2 GiB, as Xen found it there. */
const MAP = 'xen416-qemu-tcg-2gb'
const MAP_MIB = 2048
const FIRST_LINE = 'Linux version'

/** Milliseconds from the start to the end of each phase, of those that both have. */
type Phases = { readonly kernel: number; readonly init: number; readonly off: number }
type OurPhases = Phases & {
  readonly unpacked: number
  readonly built: number
  readonly instructions: number
}

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const version = qemuVersion()
  report(version === null ? 'no qemu-system-x86_64: nothing to compare with' : `QEMU ${version}, -accel tcg`)
  const xen = version === null ? null : findTools().xen
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-debian-'))
  const [ours, dom0s, theirs]: [OurPhases[], OurPhases[], Phases[]] = [[], [], []]
  try {
    const files = writeFiles(folder)
    for (let round = 0; round < ROUNDS; round++) {
      // Each in a process of its own, which has compiled nothing yet.
      ours.push((await inChild<OurPhases>(import.meta.url, 'bootHere', files)).value)
      dom0s.push((await inChild<OurPhases>(import.meta.url, 'bootDom0Here', files)).value)
      if (xen !== null) theirs.push(await bootUnderQemu(xen, files))
      report(
        `round ${round + 1}: /init after ${seconds(ours, 'init')} s, as dom0 ${seconds(dom0s, 'init')} s, on real Xen ${seconds(theirs, 'init')} s`,
      )
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
  const of = (key: keyof OurPhases): number => median(ours.map((phases) => phases[key]))
  const dom0 = (key: keyof OurPhases): number => median(dom0s.map((phases) => phases[key]))
  report(`/init here: ${spread(ours.map(({ init }) => init))} ms`)
  report(`/init here, as dom0: ${spread(dom0s.map(({ init }) => init))} ms`)
  const figures = {
    boot_unpack_ms: round(of('unpacked')),
    boot_build_ms: round(of('built') - of('unpacked')),
    boot_kernel_ms: round(of('init') - of('built')),
    boot_ms: round(of('init')),
    boot_to_poweroff_ms: round(of('off')),
    boot_instructions: of('instructions'),
    dom0_boot_ms: round(dom0('init')),
    dom0_build_ms: round(dom0('built') - dom0('unpacked')),
    dom0_kernel_ms: round(dom0('init') - dom0('built')),
    dom0_boot_instructions: dom0('instructions'),
  }
  if (theirs.length === 0) return figures
  const peer = (key: keyof Phases): number => median(theirs.map((phases) => phases[key]))
  report(`/init on real Xen: ${spread(theirs.map(({ init }) => init))} ms`)
  return {
    ...figures,
    qemu_xen_to_kernel_ms: round(peer('kernel')),
    qemu_xen_kernel_ms: round(peer('init') - peer('kernel')),
    qemu_xen_boot_ms: round(peer('init')),
    boot_over_qemu_xen: round(of('init') / peer('init')),
    kernel_over_qemu_xen: round((of('init') - of('kernel')) / (peer('init') - peer('kernel'))),
    dom0_boot_over_qemu_xen: round(dom0('init') / peer('init')),
    dom0_kernel_over_qemu_xen: round((dom0('init') - dom0('kernel')) / (peer('init') - peer('kernel'))),
  }
}

type Files = { readonly kernel: string; readonly initrd: string }

function writeFiles(folder: string): Files {
  const [kernel, busybox] = [debianKernel({ suite: 'bookworm', name: KERNEL }), debianBusybox()]
  if ('reason' in kernel) throw new BadInput(kernel.reason)
  if ('reason' in busybox) throw new BadInput(busybox.reason)
  const files = { kernel: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd') }
  writeFileSync(files.kernel, kernel.bytes)
  writeFileSync(files.initrd, busyboxInitramfs(busybox, ['poweroff -f']))
  return files
}

/** Boot on the machine here, from the files on, as a guest. */
export function bootHere(files: Files): OurPhases {
  return bootTimed(files, { append: APPEND })
}

/** The same as dom0, on the machine that QEMU has. */
export function bootDom0Here(files: Files): OurPhases {
  return bootTimed(files, { append: DOM0_APPEND, dom0: { map: MAP } })
}

function bootTimed({ kernel, initrd }: Files, domain: Pick<KernelOptions, 'append' | 'dom0'>): OurPhases {
  const start = performance.now()
  const since = (): number => performance.now() - start
  const at = { unpacked: 0, kernel: 0, init: 0 }
  let text = ''
  const run = new KernelRun(
    {
      kernel: { name: 'vmlinuz', bytes: readFileSync(kernel) },
      ramdisk: { name: 'initrd', bytes: readFileSync(initrd) },
      memory: PAGES,
      ...domain,
      timeLimit: 60,
    },
    {
      progress: (step) => {
        if (step === 'read') at.unpacked = since()
      },
      output: (bytes) => {
        text += Buffer.from(bytes).toString('latin1')
        if (at.kernel === 0 && text.includes(FIRST_LINE)) at.kernel = since()
        if (at.init === 0 && text.includes(INIT_MARK)) at.init = since()
      },
    },
  )
  const built = since()
  const outcome = run.runToEnd()
  if (outcome !== 'poweroff' || at.init === 0)
    throw new Error(`the boot ended with ${outcome}: ${text.slice(-2000)}`)
  // The log buffer is printed when the console is there: the kernel itself begins when it is built.
  return { ...at, kernel: built, built, off: since(), instructions: run.machine.guest.cpu.instructions }
}

/** Boot on real Xen, as dom0. Times are those at which lines arrive on Xen's console. */
async function bootUnderQemu(xen: string, { kernel, initrd }: Files): Promise<Phases> {
  const start = performance.now()
  const words = [
    ...`-accel tcg -cpu qemu64 -m ${MAP_MIB} -nodefaults -display none -no-reboot -serial stdio`.split(' '),
    ...['-kernel', xen, '-append', 'console=com1 dom0_mem=512M noreboot=no'],
    ...['-initrd', `${kernel} ${DOM0_APPEND},${initrd}`],
  ]
  const child: ChildProcess = spawn('qemu-system-x86_64', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const at = { kernel: 0, init: 0 }
  let text = ''
  child.stdout?.setEncoding('latin1').on('data', (part: string) => {
    text += part
    const now = performance.now() - start
    if (at.kernel === 0 && text.includes(FIRST_LINE)) at.kernel = now
    if (at.init === 0 && text.includes(INIT_MARK)) at.init = now
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 180_000)
  await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  clearTimeout(timer)
  if (at.init === 0) throw new Error(`real Xen did not get to /init: ${text.slice(-2000)}`)
  return { ...at, off: performance.now() - start }
}

function seconds<T extends Phases>(phases: readonly T[], key: keyof Phases): string {
  const last = phases.at(-1)
  return last === undefined ? 'not' : (last[key] / 1000).toFixed(1)
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}
