import { hexVa, vaOf } from '../../bits/address.ts'

/** Names of a kernel's addresses, in ascending order of these. */
export class SymbolTable {
  private readonly addresses: Float64Array
  private readonly names: readonly string[]

  /** @param symbols 48-bit addresses with names, in any order; of several names of an address the first counts */
  constructor(symbols: readonly (readonly [va: number, name: string])[]) {
    const sorted = symbols
      .toSorted((a, b) => a[0] - b[0])
      .filter(([va], i, all) => i === 0 || all[i - 1][0] !== va)
    this.addresses = Float64Array.from(sorted, ([va]) => va)
    this.names = sorted.map(([, name]) => name)
  }

  get size(): number {
    return this.names.length
  }

  /** The symbol that an address lies in and how far, and how long the symbol is; null before the first one. */
  find(va: number): { name: string; offset: number; bytes: number } | null {
    const { addresses } = this
    let [low, high] = [0, addresses.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (addresses[middle] <= va) low = middle + 1
      else high = middle
    }
    if (low === 0) return null
    const start = addresses[low - 1]
    const end = low < addresses.length ? addresses[low] : start
    return { name: this.names[low - 1], offset: va - start, bytes: end - start }
  }

  /** Where a symbol is, a 48-bit address; null of one that there is none of. */
  addressOf(name: string): number | null {
    const index = this.names.indexOf(name)
    return index === -1 ? null : this.addresses[index]
  }

  /** As a System.map; what is not known of a symbol's kind is T. */
  toSystemMap(): string {
    return this.names.map((name, i) => `${hexVa(this.addresses[i])} T ${name}\n`).join('')
  }

  /** `name+0x1f/0x40`, as Linux writes it; undefined where nothing is known. */
  text(va: number): string | undefined {
    const found = this.find(va)
    if (found === null) return undefined
    return `${found.name}+0x${found.offset.toString(16)}/0x${found.bytes.toString(16)}`
  }
}

/** An address, and a name of 512 letters at most: Linux's KSYM_NAME_LEN. */
const LONGEST_LINE = 600

/**
 * Read a System.map, or /proc/kallsyms: an address in hexadecimal, a letter and a name a line. Null for what is none, as
 * where distributions ship a file that only says where the real one is.
 */
export function readSystemMap(text: string): SymbolTable | null {
  const symbols: [number, string][] = []
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf('\n', at)
    const end = newline === -1 ? text.length : newline
    const match = /^([0-9a-f]{8})([0-9a-f]{8}) (\w) (\S+)/.exec(
      text.slice(at, Math.min(end, at + LONGEST_LINE)),
    )
    at = end + 1
    if (match === null) continue
    const va = vaOf(Number.parseInt(match[2], 16), Number.parseInt(match[1], 16) | 0)
    // Addresses below the kernel's are offsets into the area of each CPU.
    if (va >= 2 ** 47) symbols.push([va, match[4]])
  }
  return symbols.length === 0 ? null : new SymbolTable(symbols)
}
