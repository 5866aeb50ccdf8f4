import type { E820Entry } from '../../xen/abi.ts'
import { addRegion, e820Lines, removeRange, sanitize } from './e820.ts'

/**
 * The options of the kernel's command line that change its memory map. They act after xen_memory_setup: the extra
 * region, the released pages and the p2m are decided by then, and only max_pfn and memblock see the change.
 */

const SUFFIX: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }

/**
 * A number as the kernel's memparse reads it: decimal, 0x hexadecimal or 0 octal, with K, M or G behind it. `length` is
 * how many characters were read, 0 where there is no number.
 */
export function memparse(text: string): { value: number; length: number } {
  const match = /^(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|(\d+))([KMGkmg]?)/.exec(text)
  if (!match) return { value: 0, length: 0 }
  const [all, hex, octal, decimal, suffix] = match
  const number = hex ? Number.parseInt(hex, 16) : octal ? Number.parseInt(octal, 8) : Number(decimal)
  return { value: number * (SUFFIX[suffix.toUpperCase()] ?? 1), length: all.length }
}

/** What the command line made of the map; `lines` are empty where it says nothing about memory. */
export type UserMap = {
  readonly map: readonly E820Entry[]
  readonly userDefined: boolean
  readonly lines: readonly string[]
}

type State = { map: E820Entry[]; userDefined: boolean; lines: string[] }

/** Applies memmap= and mem= in the order in which they stand. A shell's `\$` counts as `$`. */
export function applyMapOptions(map: readonly E820Entry[], commandLine: string): UserMap {
  const state: State = { map: [...map], userDefined: false, lines: [] }
  for (const word of commandLine.split(/\s+/)) {
    const [, name, value] = /^(memmap|mem)=(.*)$/.exec(word) ?? []
    if (name === undefined) continue
    const understood = name === 'memmap' ? memmap(state, value.replaceAll('\\$', '$')) : mem(state, value)
    if (!understood) state.lines.push(`Malformed early option '${name}'`)
  }
  if (!state.userDefined) return state
  const sane = sanitize(state.map)
  const lines = [...state.lines, 'user-defined physical RAM map:', ...e820Lines(sane, 'user')]
  return { map: sane, userDefined: true, lines }
}

/** Like the kernel it acts on what it can read and complains of the rest, so a bad tail does not undo a good head. */
function memmap(state: State, value: string): boolean {
  if (value.startsWith('exactmap')) {
    state.map = []
    state.userDefined = true
    return true
  }
  const size = memparse(value)
  if (size.length === 0) return false
  state.userDefined = true
  const sign = value[size.length]
  const type = sign === '@' ? 'usable' : sign === '#' ? 'ACPI data' : sign === '$' ? 'reserved' : null
  if (type === null) {
    state.map = removeRange(state.map, size.value, Number.POSITIVE_INFINITY, 'usable')
    return size.length === value.length
  }
  const start = memparse(value.slice(size.length + 1))
  state.map = addRegion(state.map, start.value, start.value + size.value, type)
  return size.length + 1 + start.length === value.length
}

function mem(state: State, value: string): boolean {
  if (value === 'nopentium') return true
  const size = memparse(value)
  state.userDefined = true
  if (size.value === 0) return false
  state.map = removeRange(state.map, size.value, Number.POSITIVE_INFINITY, 'usable')
  return true
}
