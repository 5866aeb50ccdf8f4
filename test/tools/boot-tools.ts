import type { BootResult } from '../../src/run/boot/boot.ts'
import { findMap, type MemoryMap } from '../../src/run/maps/maps.ts'

/** MiB as frames of 4 KiB. */
export function mib(n: number): number {
  return n * 256
}

/** The buffers of a boot, one string a call: `start..end..top` as pfns. */
export function buffers(result: BootResult): string[] {
  return result.buffers.map(({ start, end, top }) => `${start}..${end}..${top}`)
}

/** The lines about where tables go. */
export function tableLines(result: BootResult): string[] {
  return result.console.filter((line) => line.includes('kernel direct mapping tables'))
}

/** The lines that both repairs print. */
export function releaseLines(result: BootResult): string[] {
  return result.console.filter((line) => line.includes('setting RW the range'))
}

/** How a boot ended, short: `booted`, `fault 0x1acb60`, `pin 0xbacf7 in call 1`. */
export function ending(result: BootResult): string {
  if (result.outcome === 'booted') return 'booted'
  if (result.outcome === 'fault') return `fault ${result.pfn}`
  return `${result.via} ${result.pfn} in call ${result.call}`
}

/** A shipped map in which one border between two entries stands elsewhere, bytes. */
export function withBorder(name: string, from: number, to: number): MemoryMap {
  const map = findMap(name)
  const moved = (at: number): number => (at === from ? to : at)
  const entries = map.entries.map((e) => ({ ...e, start: moved(e.start), end: moved(e.end) }))
  return { ...map, entries }
}
