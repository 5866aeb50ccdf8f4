import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Suite } from '../oracle/debian.ts'
import { findTools } from '../oracle/tools.ts'
import { BadInput } from '../src/bits/bad-input.ts'
import { tierOf } from '../src/run/tiers.ts'
import { debianBusybox, debianKernel } from '../test/tools/debian.ts'
import { busyboxInitramfs } from '../test/tools/initramfs.ts'
import { qemuVersion } from './cpu/qemu.ts'
import {
  type BootHere,
  bootUnderQemu,
  type Files,
  type Moment,
  type OurPhases,
  type Phases,
} from './debian/boots.ts'
import { inChild, median, roundCount } from './measure.ts'

/** Debian's kernels from the start of the program to their first process, here and on real Xen under QEMU. */
export const name = 'debian'
export const about =
  'seconds until Debian’s kernels run /init, as a guest and as dom0, beside real Xen under QEMU; five minutes'

/** These can be dom0, too, which the kernels for clouds cannot. */
const PACKAGE = 'linux-image-amd64'
const KERNELS: readonly { readonly key: string; readonly suite: Suite }[] = [
  { key: '6.1', suite: 'bookworm' },
  { key: '6.12', suite: 'trixie' },
]
const DOMAINS = ['domU', 'dom0'] as const
const ROUNDS = 7
const BOOTS = new URL('debian/boots.ts', import.meta.url).href

/** The boots of one kernel, a sample a round. */
type Samples = { readonly domU: OurPhases[]; readonly dom0: OurPhases[]; readonly xen: Phases[] }

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const rounds = roundCount(ROUNDS)
  const tier = tierOf(process.env.BENCH_TIER) ?? 'region'
  const version = qemuVersion()
  report(version === null ? 'no qemu-system-x86_64: nothing to compare with' : `QEMU ${version}, -accel tcg`)
  const xen = version === null ? null : findTools().xen
  // As the package starts: what types the files have is not looked at again by each process.
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(
    new URL('../node_modules/.cache/compiled', import.meta.url),
  )
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-debian-'))
  const samples = KERNELS.map((): Samples => ({ domU: [], dom0: [], xen: [] }))
  try {
    const files = KERNELS.map((kernel) => writeFiles(folder, kernel))
    for (let round = 0; round < rounds; round++) {
      for (const [i, { key }] of KERNELS.entries()) {
        for (const domain of DOMAINS) {
          const boot: BootHere = { ...files[i], domain, tier }
          samples[i][domain].push((await inChild<OurPhases>(BOOTS, 'bootHere', boot)).value)
        }
        if (xen !== null) samples[i].xen.push(await bootUnderQemu(xen, files[i]))
        report(`round ${round + 1}, ${key}: /init after ${lastOnes(samples[i])}`)
      }
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
  return Object.assign({}, ...KERNELS.map(({ key }, i) => figuresOf(key, samples[i], report)))
}

function writeFiles(folder: string, { key, suite }: (typeof KERNELS)[number]): Files {
  const [kernel, busybox] = [debianKernel({ suite, name: PACKAGE }), debianBusybox()]
  if ('reason' in kernel) throw new BadInput(kernel.reason)
  if ('reason' in busybox) throw new BadInput(busybox.reason)
  const files = { kernel: join(folder, `vmlinuz-${key}`), initrd: join(folder, `initrd-${key}`) }
  writeFileSync(files.kernel, kernel.bytes)
  writeFileSync(files.initrd, busyboxInitramfs(busybox, ['poweroff -f']))
  return files
}

function lastOnes({ domU, dom0, xen }: Samples): string {
  const text = (phases: Phases | undefined): string =>
    phases === undefined
      ? 'not'
      : `${(phases.init.wall / 1000).toFixed(1)} s (${(phases.init.cpu / 1000).toFixed(1)} s of processors)`
  return `${text(domU.at(-1))}, as dom0 ${text(dom0.at(-1))}, on real Xen ${text(xen.at(-1))}`
}

/** A phase: its name, and where it begins and ends. */
type Phase<T> = readonly [name: string, from: ((boot: T) => Moment) | null, to: (boot: T) => Moment]
const OURS: readonly Phase<OurPhases>[] = [
  ['start', null, (boot) => boot.started],
  ['unpack', (boot) => boot.started, (boot) => boot.unpacked],
  ['build', (boot) => boot.unpacked, (boot) => boot.kernel],
  ['kernel', (boot) => boot.kernel, (boot) => boot.init],
  ['boot', null, (boot) => boot.init],
  ['init', (boot) => boot.init, (boot) => boot.off],
]
/** Xen's part is QEMU's start, Xen's own boot, and the unpacking and building of dom0. */
const THEIRS: readonly Phase<Phases>[] = [
  ['to_kernel', null, (boot) => boot.kernel],
  ['kernel', (boot) => boot.kernel, (boot) => boot.init],
  ['boot', null, (boot) => boot.init],
  ['init', (boot) => boot.init, (boot) => boot.off],
]

/** Medians of a phase, milliseconds. */
function medianOf<T>(boots: readonly T[], [, from, to]: Phase<T>): Moment {
  const of = (key: keyof Moment): number =>
    median(boots.map((boot) => to(boot)[key] - (from?.(boot)[key] ?? 0)))
  return { wall: of('wall'), cpu: of('cpu') }
}

function figuresOf(
  kernel: string,
  { domU, dom0, xen }: Samples,
  report: (line: string) => void,
): Record<string, number> {
  const figures: Record<string, number> = {}
  const add = <T>(side: string, boots: readonly T[], phases: readonly Phase<T>[]): Record<string, Moment> => {
    const found = phases.map((phase) => [phase[0], medianOf(boots, phase)] as const)
    report(`${side}: ${found.map(([key, moment]) => `${key} ${inWords(moment)}`).join(', ')}`)
    for (const [key, { wall, cpu }] of found) {
      figures[`${side}_${key}_ms`] = round(wall)
      figures[`${side}_${key}_cpu_ms`] = round(cpu)
    }
    return Object.fromEntries(found)
  }
  const theirs = xen.length === 0 ? null : add(`${kernel}_qemu_xen`, xen, THEIRS)
  for (const [domain, boots] of [
    ['domU', domU],
    ['dom0', dom0],
  ] as const) {
    const side = `${kernel}_${domain}`
    const ours = add(side, boots, OURS)
    figures[`${side}_boot_instructions`] = boots[0].instructions
    if (theirs === null) continue
    for (const phase of ['kernel', 'boot'] as const) {
      figures[`${side}_${phase}_over_qemu_xen`] = round(ours[phase].wall / theirs[phase].wall)
      figures[`${side}_${phase}_cpu_over_qemu_xen`] = round(ours[phase].cpu / theirs[phase].cpu)
    }
  }
  return figures
}

function inWords({ wall, cpu }: Moment): string {
  return `${(wall / 1000).toFixed(2)} s (${(cpu / 1000).toFixed(2)})`
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}
