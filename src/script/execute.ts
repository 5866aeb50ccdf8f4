import { SLOTS } from '../bits/address.ts'
import { entryFrame, entryHi, entryLo } from '../bits/pte.ts'
import { VECTOR_GP, VECTOR_PF } from '../machine/vcpu/vcpu.ts'
import { HYPERCALL, MEMORY_OP } from '../xen/abi.ts'
import { type CallResult, runMulticall } from './multi.ts'
import type { Argument, Entry, Place } from './operands.ts'
import type { Operation, ScriptLine } from './parse.ts'
import { type Caught, FAULTED, M2P, type Pair, type Probe, pairOf, pairOfVa } from './probe.ts'
import { extWords, mmuWords } from './requests.ts'

/** What one operation came to. Operations without a result, like `page`, have no `rc`. */
export type Outcome = {
  rc?: number
  done?: number | null
  /** Of a multicall: what each of its calls came to. */
  calls?: readonly CallResult[]
  /** A multicall that left for user mode came back by a system call, and not by a fault. */
  back?: 'syscall'
  fault?: string
  /** 48 bits: where a page fault was. */
  cr2?: number
  value?: Pair
  dump?: (readonly [place: string, value: Pair | 'fault'])[]
  error?: string
}

/** One operation, carried out by the probe. `info` and `autoinfo` are the caller's. */
export function execute(probe: Probe, line: ScriptLine): Outcome {
  const op = line.op as Operation
  probe.done = undefined
  probe.caught = null
  const outcome = carryOut(probe, op, line.domain)
  if (probe.done !== undefined) outcome.done = probe.done
  const caught = probe.caught as Caught | null
  if (caught !== null && outcome.rc !== undefined) {
    const name = caught.vector === VECTOR_PF ? 'PF' : caught.vector === VECTOR_GP ? 'GP' : `V${caught.vector}`
    outcome.fault = `${name}:0x${caught.error.toString(16)}`
    if (caught.vector === VECTOR_PF) outcome.cr2 = caught.va
  }
  return outcome
}

function carryOut(probe: Probe, op: Operation, domain: number | null): Outcome {
  const { symbols } = probe
  switch (op.verb) {
    case 'page':
      for (const name of op.names) probe.takePage(name)
      return {}
    case 'info':
    case 'autoinfo':
    case 'echo':
      return {}
    case 'sym':
      return nameFrame(probe, op.name, op.from)
    case 'dump':
      return { dump: op.pages.flatMap((page) => dumpPage(probe, page)) }
    case 'remap': {
      const symbol = probe.symbol(op.page)
      if (symbol.va === 0) return { error: 'page has no direct mapping address' }
      const flags = op.flags === 'ro' ? 0x61 : 0x63
      const entry: Pair =
        op.flags === 'none' ? [0, 0] : [entryLo(symbol.mfn, flags), entryHi(symbol.mfn, 0x8000_0000)]
      return { rc: probe.updateVa(pairOfVa(symbol.va), entry, 2, null) }
    }
    case 'uvm':
      return { rc: probe.updateVa(probe.argument(op.va), probe.entry(op.entry), op.flags, domain) }
    case 'store':
      return store(probe, op.how, op.at, op.value, op.second)
    case 'get':
      return load(probe, probe.argument(op.at))
    case 'm2p': {
      const [lo, hi] = probe.argument(op.frame)
      return load(probe, pairOfVa(M2P + (hi * 2 ** 32 + lo) * 8))
    }
    case 'mmu': {
      const words = op.requests.flatMap((request) => mmuWords(probe, request))
      return { rc: probe.batch(HYPERCALL.mmu_update, words, 2, domain) }
    }
    case 'ext': {
      const words = op.requests.flatMap((request) => extWords(probe, request))
      return { rc: probe.batch(HYPERCALL.mmuext_op, words, 3, domain) }
    }
    case 'multi':
      return runMulticall(probe, op.calls, domain)
    case 'gdt':
      return {
        rc: probe.setGdt(
          op.frames.map((f) => probe.argument(f)),
          op.entries,
        ),
      }
    case 'desc':
      return {
        rc: probe.call(HYPERCALL.update_descriptor, probe.machineAddress(op.slot), probe.entry(op.value)),
      }
    case 'ldsel':
      return { rc: probe.guarded(() => probe.vcpu.loadSegment(op.selector & 0xffff)) ? 0 : FAULTED }
    case 'decr':
      return { rc: probe.reservation(MEMORY_OP.decrease_reservation, probe.argument(op.frame))[0] }
    case 'incr': {
      const [rc, mfn] = probe.reservation(MEMORY_OP.increase_reservation, [0, 0])
      const before = symbols.find(op.name)
      if (rc === 1) symbols.set(op.name, mfn, before?.pfn ?? -1, before?.va ?? 0, true)
      return { rc }
    }
    case 'popp': {
      const symbol = probe.symbol(op.page)
      const [rc, mfn] = probe.reservation(MEMORY_OP.populate_physmap, pfnPair(symbol.pfn))
      if (rc === 1) symbols.move(symbol, mfn)
      return { rc }
    }
    case 'exch': {
      const symbol = probe.symbol(op.page)
      const [rc, done, mfn] = probe.exchange(pairOf(symbol.mfn), symbol.pfn)
      if (rc === 0 && done !== 0) symbols.move(symbol, mfn)
      probe.done = done
      return { rc }
    }
    case 'assist':
      return { rc: probe.call(HYPERCALL.vm_assist, [op.command, 0], [op.type, 0]) }
    case 'hc':
      return {
        rc: probe.call(op.number, ...op.args.map((a) => ('of' in a ? probe.argument(a) : probe.entry(a)))),
      }
  }
}

/** A pfn as 64 bits; -1 is all ones. */
function pfnPair(pfn: number): Pair {
  return pfn === -1 ? [0xffff_ffff, 0xffff_ffff] : pairOf(pfn)
}

function nameFrame(probe: Probe, name: string, from: Argument | Place): Outcome {
  if (!('kind' in from)) {
    probe.symbols.set(name, from.hi * 2 ** 32 + from.lo, -1, 0, false)
    return {}
  }
  let entry: Pair = [0, 0]
  const read = probe.guarded(() => {
    entry = loadPair(probe, probe.canonical(probe.argument(from)))
  })
  if (!read) return { error: 'cannot read' }
  probe.symbols.set(name, entryFrame(entry[0], entry[1]), -1, 0, false)
  return {}
}

function loadPair(probe: Probe, va: number): Pair {
  const lo = probe.vcpu.load64(va)
  return [lo, probe.vcpu.hi]
}

function load(probe: Probe, va: Pair): Outcome {
  let value: Pair = [0, 0]
  const read = probe.guarded(() => {
    value = loadPair(probe, probe.canonical(va))
  })
  return read ? { rc: 0, value } : { rc: FAULTED }
}

function store(
  probe: Probe,
  how: Extract<Operation, { verb: 'store' }>['how'],
  at: Place,
  first: Entry,
  second: Entry | null,
): Outcome {
  const { vcpu } = probe
  const [lo, hi] = probe.entry(first)
  const other = second === null ? ([0, 0] as Pair) : probe.entry(second)
  let value: Pair | undefined
  const stored = probe.guarded(() => {
    const va = probe.canonical(probe.argument(at))
    switch (how) {
      case 'set':
        return vcpu.store64(va, lo, hi)
      case 'set4':
        return vcpu.store32(va, lo)
      case 'set2':
        return vcpu.store16(va, lo & 0xffff)
      case 'set1':
        return vcpu.store8(va, lo & 0xff)
      case 'set16':
        return vcpu.store128(va, [lo, hi], other)
      case 'or':
        return vcpu.or64(va, lo, hi)
      case 'btr':
        value = [vcpu.bitReset64(va, lo & 63), 0]
        return
      case 'xchg':
        value = [vcpu.exchange64(va, lo, hi), vcpu.hi]
        return
      default: {
        const bytes = how === 'cas4' ? 4 : 8
        value = [vcpu.compareExchange(va, bytes, [lo, hi], other[0], other[1]), vcpu.hi]
      }
    }
  })
  if (!stored) return { rc: FAULTED }
  return value === undefined ? { rc: 0 } : { rc: 0, value }
}

function dumpPage(probe: Probe, name: string): (readonly [string, Pair | 'fault'])[] {
  const { va } = probe.symbol(name)
  const found: (readonly [string, Pair | 'fault'])[] = []
  for (let slot = 0; slot < SLOTS; slot++) {
    let value: Pair = [0, 0]
    const read = probe.guarded(() => {
      value = loadPair(probe, va + slot * 8)
    })
    if (!read) return [...found, [name, 'fault']]
    if (value[0] !== 0 || value[1] !== 0) found.push([`${name}[${slot}]`, value])
  }
  return found
}
