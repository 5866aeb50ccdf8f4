import type { MemoryMap } from './maps.ts'

/** Bytes of usable RAM in a map. */
export function ramBytes(map: MemoryMap): number {
  return map.entries.reduce((sum, { start, end, type }) => sum + (type === 'usable' ? end - start : 0), 0)
}

/**
 * A map as the lines of a boot log: a host's as Xen of the seed's time prints it, a guest's as its kernel does. What
 * reads pasted logs reads these too.
 */
export function mapLines(map: MemoryMap): string[] {
  const [title, prefix] =
    map.kind === 'host'
      ? ['(XEN) Xen-e820 RAM map:', '(XEN)  ']
      : ['BIOS-provided physical RAM map:', ' Xen: ']
  return [
    title,
    ...map.entries.map(({ start, end, type }) => `${prefix}${address(start)} - ${address(end)} (${type})`),
  ]
}

function address(value: number): string {
  return value.toString(16).padStart(16, '0')
}
