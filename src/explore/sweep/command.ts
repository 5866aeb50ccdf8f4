import type { BootOptions } from '../../run/boot/boot.ts'
import { isLaidOutToday } from '../../run/boot/layout-outcome.ts'
import { DEFAULT_XEN } from '../../run/xen-versions.ts'
import { machineAt, type RealKernels, type Space } from './space.ts'

/**
 * The command that carries these options out alone. A map that does not ship stands as its name: the file is the user's.
 * The layouts of today are `sweep`'s alone.
 */
export function bootCommand(options: BootOptions): string {
  const words = [isLaidOutToday(options.linux) ? 'xenolith sweep --no-shrink' : 'xenolith boot']
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined) words.push(`--${name} ${quoted(value)}`)
  }
  add('linux', options.linux)
  for (const hash of options.with ?? []) add('with', hash)
  for (const hash of options.without ?? []) add('without', hash)
  if (options.xen !== DEFAULT_XEN.model) add('xen', options.xen)
  add('holes', options.holes)
  add('map', typeof options.map === 'object' ? options.map.name : options.map)
  if (options.domain !== undefined) words.push(options.domain === 'dom0' ? '--dom0' : '--domu')
  if (options.firmwareMap) words.push('--firmware-map')
  add('config', options.memoryModel)
  add('memory', pagesOf(options.memory))
  add('maxmem', pagesOf(options.maxMemory))
  if (options.hasMap === false) words.push('--no-e820')
  add('v-end', hexOf(options.vEnd))
  add('kernel-size', hexOf(options.kernelSize))
  add('initrd-size', hexOf(options.initrdSize))
  if (options.append !== '') add('append', options.append)
  return words.join(' ')
}

/** The command that boots machine number n of a space alone. */
export function commandOf(space: Space, n: number): string {
  const options = machineAt(space, n)
  return space.real === undefined ? bootCommand(options) : kernelCommand(options, space, space.real)
}

function kernelCommand(options: BootOptions, { linux }: Space, real: RealKernels): string {
  const words = ['xenolith boot']
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined) words.push(`--${name} ${quoted(value)}`)
  }
  const isDom0 = options.domain === 'dom0'
  add('kernel', real.files[linux.indexOf(options.linux ?? '')]?.file)
  add('ramdisk', real.ramdisk?.file)
  if (isDom0) words.push('--dom0')
  add('map', typeof options.map === 'object' ? options.map.name : options.map)
  if (options.firmwareMap) words.push('--firmware-map')
  if (!real.acpi) words.push('--no-acpi')
  add(isDom0 ? 'dom0-mem' : 'memory', pagesOf(options.memory))
  add('maxmem', pagesOf(options.maxMemory))
  if (options.hasMap === false) words.push('--no-e820')
  if (options.xen !== DEFAULT_XEN.others) add('xen', options.xen)
  add('append', options.append)
  add('until', real.until ?? undefined)
  add('timeout', String(real.timeLimit))
  return words.join(' ')
}

function pagesOf(n: number | undefined): string | undefined {
  return n === undefined ? undefined : `0x${n.toString(16)}p`
}

function hexOf(n: number | undefined): string | undefined {
  return n === undefined ? undefined : `0x${n.toString(16)}`
}

function quoted(word: string): string {
  return /^[\w.,:/+@=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
