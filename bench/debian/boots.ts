import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type KernelOptions, KernelRun } from '../../src/run/kernel/kernel-boot.ts'
import type { Tier } from '../../src/run/tiers.ts'
import { INIT_MARK } from '../../test/tools/initramfs.ts'

/**
 * Boots of one kernel to its first process and its end, each in a process of its own, which has compiled nothing yet: here, and
 * on real Xen under QEMU.
 */

/** Milliseconds since the process was started, and those in which its threads had a processor. */
export type Moment = { readonly wall: number; readonly cpu: number }

/** When each phase ended. Here the kernel begins when its machine is built; elsewhere with its first line. */
export type Phases = { readonly kernel: Moment; readonly init: Moment; readonly off: Moment }
export type OurPhases = Phases & {
  /** The program's own first line. */
  readonly started: Moment
  readonly unpacked: Moment
  readonly instructions: number
}

export type Files = { readonly kernel: string; readonly initrd: string }

/** What a boot here is told. */
export type BootHere = Files & { readonly domain: 'domU' | 'dom0'; readonly tier: Tier }

const PAGES = 0x2_0000
const APPEND = 'console=hvc0'
/** What dom0 has on its command line, here and there. */
const DOM0_APPEND = `${APPEND} earlyprintk=xen`
/** The map of QEMU's usual machine with 2 GiB, as Xen found it there. */
const MAP = 'xen416-qemu-tcg-2gb'
const MAP_MIB = 2048
const FIRST_LINE = 'Linux version'
const TICKS_A_SECOND = 100
const LATEST_MS = 180_000

/** Boot on the machine here, from the start of the process on. */
export function bootHere({ kernel, initrd, domain, tier }: BootHere): OurPhases {
  const now = (): Moment => {
    const { user, system } = process.cpuUsage()
    return { wall: performance.now(), cpu: (user + system) / 1000 }
  }
  const started = now()
  let [unpacked, init]: (Moment | null)[] = [null, null]
  let text = ''
  const options: Pick<KernelOptions, 'append' | 'dom0'> =
    domain === 'dom0' ? { append: DOM0_APPEND, dom0: { map: MAP } } : { append: APPEND }
  const run = new KernelRun(
    {
      kernel: { name: 'vmlinuz', bytes: readFileSync(kernel) },
      ramdisk: { name: 'initrd', bytes: readFileSync(initrd) },
      memory: PAGES,
      ...options,
      core: { tier },
      timeLimit: 60,
    },
    {
      progress: (step) => {
        if (step === 'read') unpacked = now()
      },
      output: (bytes) => {
        text += Buffer.from(bytes).toString('latin1')
        if (init === null && text.includes(INIT_MARK)) init = now()
      },
    },
  )
  const built = now()
  const outcome = run.runToEnd()
  if (outcome !== 'poweroff' || unpacked === null || init === null)
    throw new Error(`the boot ended with ${outcome}: ${text.slice(-2000)}`)
  const { instructions } = run.machine.guest.cpu
  return { started, unpacked, kernel: built, init, off: now(), instructions }
}

/**
 * Boot on real Xen, as dom0. Times are those at which lines arrive on Xen's console.
 *
 * @param xen the hypervisor's file
 */
export async function bootUnderQemu(xen: string, { kernel, initrd }: Files): Promise<Phases> {
  const start = performance.now()
  const words = [
    ...`-accel tcg -cpu qemu64 -m ${MAP_MIB} -nodefaults -display none -no-reboot -serial stdio`.split(' '),
    ...['-kernel', xen, '-append', 'console=com1 dom0_mem=512M noreboot=no'],
    ...['-initrd', `${kernel} ${DOM0_APPEND},${initrd}`],
  ]
  const child = spawn('qemu-system-x86_64', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const { pid } = child
  if (pid === undefined) throw new Error('QEMU does not start')
  let off: Moment = { wall: 0, cpu: 0 }
  const now = (): Moment => {
    off = { wall: performance.now() - start, cpu: processorTime(pid) ?? off.cpu }
    return off
  }
  let [first, init]: (Moment | null)[] = [null, null]
  let text = ''
  child.stdout.setEncoding('latin1').on('data', (part: string) => {
    text += part
    const moment = now()
    if (first === null && text.includes(FIRST_LINE)) first = moment
    if (init === null && text.includes(INIT_MARK)) init = moment
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), LATEST_MS)
  await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  clearTimeout(timer)
  if (first === null || init === null) throw new Error(`real Xen did not get to /init: ${text.slice(-2000)}`)
  return { kernel: first, init, off: now() }
}

/** Milliseconds of processors that a process has had, as Linux counts them; null for one that is no more. */
function processorTime(pid: number): number | null {
  try {
    // Behind the name in parentheses, which may have anything in it: state is the third field, utime and stime 14 and 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_A_SECOND
  } catch {
    return null
  }
}
