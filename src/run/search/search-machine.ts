import { OWNER_WORD, REFS_WORD } from '../../machine/frames.ts'
import { tlbSlot } from '../../machine/vcpu/tlb.ts'
import { DomainCrash, GuestTrap, RSP, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import { execute } from '../../script/execute.ts'
import { PROBE } from '../../script/layout.ts'
import type { ScriptLine } from '../../script/parse.ts'
import { Probe } from '../../script/probe.ts'
import { Symbols } from '../../script/symbols.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import { kernelRootOf, type PvVcpu } from '../../xen/pv-vcpu.ts'
import { setEventsMasked } from '../../xen/sched/vcpu-info.ts'
import { holesOf, withHoles } from '../../xen/versions/holes.ts'
import { xenVersion } from '../../xen/versions/index.ts'
import type { XenVersion } from '../../xen/versions/version.ts'
import { type Broken, brokenPropertiesOf, type Changed } from '../check/properties.ts'
import { scriptMachine } from '../script/script-machine.ts'
import type { Moves } from './moves.ts'
import { type Places, placesOf } from './places.ts'

/** Which Xen, and which guest: plain data, as workers get it. */
export type SearchSpec = {
  readonly xen: string
  readonly domain: 'dom0' | 'domU'
  /** Holes of the past that are open: `none`, or advisories as in `148,182`; the profile's own when it is not said. */
  readonly holes?: string
}

const RECORD = [0, REFS_WORD, OWNER_WORD] as const
const XEN_TABLES = ['KL4', 'KL3', 'KL2', 'KL1P', 'KL1W'] as const

/**
 * A machine that a search can move and take back. Its state is a row of numbers: of the few frames that the moves are
 * about, their records and the slots that the moves reach; the roots and descriptor tables of the domain; what the TLB has
 * of the addresses that the moves use. Everything else stays as it was, which test/run/search/search-machine.test.ts holds it to.
 *
 *     state = [ records | slots | domain | TLB ]
 */
export class SearchMachine {
  /** Frames by number in the state: the pages of the moves first, in their order, then the tables in use. */
  readonly frames: readonly number[]
  readonly pageCount: number
  readonly places: Places
  /** How many numbers a state has. */
  readonly size: number
  readonly xen: Hypervisor
  private readonly probe: Probe
  private readonly vcpu: Vcpu
  private readonly pv: PvVcpu
  private readonly version: XenVersion
  private readonly holes: readonly string[]
  /** Word index in memory of every number of the state's first two parts. */
  private readonly at: Int32Array
  /** Where each frame's bytes lie: word index. */
  private readonly backings: readonly number[]
  private readonly start: Int32Array
  private readonly changed: Changed

  constructor(spec: SearchSpec, moves: Moves) {
    this.version = quiet(xenVersion(spec.xen))
    this.holes = holesOf(this.version, spec.holes)
    const { xen, vcpu } = scriptMachine({ xen: spec.xen, domain: spec.domain })
    this.xen = xen
    this.vcpu = vcpu
    this.pv = xen.vcpuOf(vcpu)
    this.openHoles(this.holes)
    this.probe = new Probe(vcpu, new Symbols(() => {}))
    this.probe.start()
    for (const line of moves.setup) execute(this.probe, line)
    this.pageCount = moves.pages.length
    this.frames = [...moves.pages, ...XEN_TABLES].map((name) => this.probe.symbol(name).mfn)
    this.places = placesOf(moves, (argument) => this.probe.argument(argument))
    const { memory } = xen
    this.backings = this.frames.map((mfn) => memory.frameWords(mfn))
    const records = this.frames.flatMap((mfn) => RECORD.map((word) => memory.record(mfn) + word))
    const slots = this.backings.flatMap((at) =>
      this.places.slots.flatMap((slot) => [at + slot * 2, at + slot * 2 + 1]),
    )
    this.at = Int32Array.from([...records, ...slots])
    const { ldtPages, regions, addresses } = this.places
    this.size = this.at.length + DOMAIN_NUMBERS + ldtPages.length + regions.length + addresses.length
    this.changed = { frames: this.frames, slots: this.places.slots }
    this.settle()
    this.start = new Int32Array(this.size)
    this.save(this.start)
  }

  /** The moves leave marks of their own, such as accessed bits on the way to the kernel's memory: let them all be there. */
  private settle(): void {
    this.xen.flushTlbs()
    this.probe.write(PROBE.data, [0, 0])
    this.probe.read(PROBE.stack)
    this.xen.flushTlbs()
    this.xen.setMayBeCached([])
    this.xen.console.lines.length = 0
  }

  /** Which holes are open from now on. The machine's state stays as it is. */
  openHoles(holes: readonly string[]): void {
    this.xen.version = withHoles(this.version, holes)
  }

  /** The holes that the search is to find: those that were open from the start. */
  get open(): readonly string[] {
    return this.holes
  }

  /** Make a move. False when the guest is over: its domain dead, or its kernel in a fault that it has no remedy for. */
  move(line: ScriptLine): boolean {
    try {
      execute(this.probe, line)
      return true
    } catch (error) {
      if (error instanceof DomainCrash || error instanceof GuestTrap) return false
      throw error
    } finally {
      this.xen.console.lines.length = 0
    }
  }

  /** Go back to the beginning. */
  reset(): void {
    this.restore(this.start)
  }

  /** Properties that do not hold, as src/audit/ finds them in the raw tables: where the moves reach, or everywhere. */
  broken(where: 'moved' | 'everywhere' = 'moved'): Broken[] {
    return brokenPropertiesOf(this.xen, where === 'moved' ? this.changed : undefined)
  }

  save(state: Int32Array): void {
    const { i32 } = this.xen.memory
    const { at, pv, vcpu, places, frames } = this
    let n = at.length
    for (let i = 0; i < n; i++) state[i] = i32[at[i]]
    state[n++] = kernelRootOf(pv)
    state[n++] = pv.userRoot
    state[n++] = vcpu.kernelMode ? 1 : 0
    state[n++] = this.xen.userModeCalls > 0 ? 1 : 0
    state[n++] = pv.ldtEntries
    state[n++] = Math.floor(pv.ldtBase / 2 ** 32)
    state[n++] = pv.ldtBase | 0
    state[n++] = pv.gdtEntries
    state[n++] = pv.gdtFrames[0] ?? 0
    state[n++] = pv.gdtFrames[1] ?? 0
    let cached = 0
    for (let i = 0; i < frames.length; i++) if (this.xen.mayBeCached(frames[i])) cached |= 1 << i
    state[n++] = cached
    for (const page of places.ldtPages) state[n++] = pv.ldtFrames.get(page) ?? 0
    for (const region of places.regions) state[n++] = vcpu.tlb.cachedL1(region)
    const { readTag, writeTag, words } = vcpu.tlb
    for (const va of places.addresses) {
      const slot = tlbSlot(va)
      // A place in memory, and whether stores go there without another look.
      state[n++] = readTag[slot] === va ? words[slot] * 2 + (writeTag[slot] === va ? 1 : 0) : 0
    }
  }

  restore(state: Int32Array): void {
    const { i32 } = this.xen.memory
    const { at, pv, vcpu, places, frames } = this
    const { domain } = pv
    let n = at.length
    for (let i = 0; i < n; i++) i32[at[i]] = state[i]
    const kernelRoot = state[n++]
    pv.kernelRoot = kernelRoot
    pv.userRoot = state[n++]
    vcpu.kernelMode = state[n++] === 1
    vcpu.root = vcpu.kernelMode ? kernelRoot : pv.userRoot
    this.xen.userModeCalls = state[n++]
    pv.ldtEntries = state[n++]
    pv.ldtBase = state[n] * 2 ** 32 + (state[n + 1] >>> 0)
    n += 2
    pv.gdtEntries = state[n++]
    pv.gdtFrames = [state[n], state[n + 1]].filter((mfn) => mfn !== 0)
    n += 2
    const cached = state[n++]
    this.xen.setMayBeCached(frames.filter((_, i) => (cached & (1 << i)) !== 0))
    pv.ldtFrames.clear()
    for (const page of places.ldtPages) {
      if (state[n] !== 0) pv.ldtFrames.set(page, state[n])
      n++
    }
    vcpu.tlb.flush()
    for (const region of places.regions) {
      if (state[n] !== 0) vcpu.tlb.linearL1(region, state[n])
      n++
    }
    for (const va of places.addresses) {
      if (state[n] !== 0) vcpu.tlb.fill(va, state[n] >>> 1, (state[n] & 1) !== 0, 0)
      n++
    }
    domain.crashed = false
    domain.shutdown = null
    setEventsMasked(this.xen, pv, true)
    vcpu.setVa(RSP, PROBE.stack)
  }

  /** Number of a frame in the state, or -1 for one that the moves are not about. */
  frameNumber(mfn: number): number {
    return this.frames.indexOf(mfn)
  }

  /** The same of a place in memory. */
  backingNumber(words: number): number {
    return this.backings.indexOf(words)
  }

  /** Where the parts of a state begin. */
  get layout(): {
    readonly slots: number
    readonly domain: number
    readonly ldt: number
    readonly tlb: number
  } {
    const slots = this.frames.length * RECORD.length
    const domain = this.at.length
    const ldt = domain + DOMAIN_NUMBERS
    return { slots, domain, ldt, tlb: ldt + this.places.ldtPages.length + this.places.regions.length }
  }
}

/** Numbers of the domain in a state, in the order in which `save` writes them. */
export const DOMAIN_NUMBERS = 11

/** The rules without their messages, which a search does not read. */
function quiet(version: XenVersion): XenVersion {
  return { ...version, messages: { ...version.messages, guestLog: { always: 0, limited: 0 } } }
}
