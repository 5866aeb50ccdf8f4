import { ENTRY_BYTES, PAGE, REGION, SLOTS, slotAt, vaOf } from '../../bits/address.ts'
import { PROBE } from '../../script/layout.ts'
import type { Argument } from '../../script/operands.ts'
import type { ExtRequest, MmuRequest, ScriptLine } from '../../script/parse.ts'
import type { Moves } from './moves.ts'

/** What of the machine the moves can reach, beside the frames that they name. */
export type Places = {
  /** Slots of pages and tables, ascending: those that a move names, those on the way of an address, and Xen's in a root. */
  readonly slots: readonly number[]
  /** Pages of the address space at which a move loads or stores, 48 bits. */
  readonly addresses: readonly number[]
  /** Regions of 2 MiB that these lie in, by number. */
  readonly regions: readonly number[]
  /** Pages of an LDT that a selector looks at. */
  readonly ldtPages: readonly number[]
}

const SET_LDT = 13

/** Slots of an L4 that Xen fills when it becomes one: src/xen/mm/tables.ts. */
const XEN_SLOTS = [256, 258, 260, 261, 262]

/**
 * Where moves reach.
 *
 * @param numberOf the number that an argument of a move stands for
 */
export function placesOf(
  moves: Moves,
  numberOf: (argument: Argument) => readonly [lo: number, hi: number],
): Places {
  const slots = new Set(XEN_SLOTS)
  const addresses = new Set<number>()
  const ldtPages = new Set([0])
  const byte = (offset: number): void => void slots.add((offset & (PAGE - 1)) >>> 3)
  const address = (argument: Argument): void => {
    const va = vaOf(...numberOf(argument))
    if (va === -1 || (va >= REGION.xenStart && va < REGION.xenEnd)) return
    for (const level of [1, 2, 3, 4] as const) slots.add(slotAt(va, level))
    addresses.add(va - ((va >>> 0) & (PAGE - 1)))
    byte(va >>> 0)
  }
  /** What a store may reach: 16 bytes at the most, which may lie in two pages. */
  const stored = (argument: Argument): void => {
    address(argument)
    address({ ...argument, lo: argument.lo + 15 })
  }
  const updated = (request: MmuRequest): void => {
    if (request.kind === 'entry') byte(request.slot.lo)
  }
  const extended = ({ command, arg1 }: ExtRequest): void => {
    if (command === SET_LDT && arg1 !== null) address(arg1)
  }
  const pages = new Map(moves.pages.map((name, i) => [name, PROBE.pool + i * PAGE]))
  // A page's place in the direct map can be remapped, and stored to where it is read-only.
  for (const va of pages.values()) {
    slots.add(slotAt(va, 1))
    addresses.add(va)
  }
  for (const line of moves.lines) visit(line)
  return {
    slots: [...slots].filter((slot) => slot < SLOTS).sort((a, b) => a - b),
    addresses: [...addresses],
    regions: [...new Set([...addresses].map((va) => Math.floor(va / ENTRY_BYTES[2])))],
    ldtPages: [...ldtPages].sort((a, b) => a - b),
  }

  function visit({ op }: ScriptLine): void {
    switch (op?.verb) {
      case 'store':
        stored(op.at)
        break
      case 'desc':
        byte(op.slot.lo)
        break
      case 'uvm':
        address(op.va)
        break
      case 'mmu':
        op.requests.forEach(updated)
        break
      case 'ext':
        op.requests.forEach(extended)
        break
      case 'multi':
        for (const call of op.calls) {
          if (call.kind === 'uvm') address(call.va)
          if (call.kind === 'mmu') updated(call.request)
          if (call.kind === 'ext') extended(call.request)
        }
        break
      case 'ldsel':
        byte(op.selector & 0xfff8)
        if ((op.selector & 4) !== 0) ldtPages.add(Math.floor((op.selector & 0xfff8) / PAGE))
        break
    }
  }
}
