import { createHash } from 'node:crypto'
import { PAGE, slotAt } from '../../src/bits/address.ts'
import { junitReport } from '../../src/cli/junit.ts'
import { Memory } from '../../src/machine/memory.ts'
import { auditMachine } from '../../src/run/check/audit.ts'
import { KernelRun } from '../../src/run/kernel/kernel-boot.ts'
import { explanationLines } from '../../src/run/kernel/kernel-explain.ts'
import {
  buildKernelMachine,
  type DomUMachine,
  type KernelMachine,
} from '../../src/run/kernel/kernel-machine.ts'
import { restoreSnapshot, snapshotParts } from '../../src/run/kernel/kernel-snapshot.ts'
import { tableFor } from '../../src/toolstack/layouts/start-of-day.ts'
import { traceLine } from '../../src/trace/export.ts'
import type { Hypervisor } from '../../src/xen/hypervisor.ts'
import { framesOf } from '../../test/tools/pv-machine.ts'
import { BASE, TEXT, tinyKernel } from '../../test/tools/tiny-kernel.ts'
import { Wrong } from '../target.ts'
import { assemble, type Names, type Program, readProgram, sumOf } from './assemble.ts'

/** A domU that a program runs in: a kernel of nothing but room, whose memory is written before it begins. */

/** A little more than the initial mapping, so that some frames of the guest's are not mapped. */
const PAGES = 1100
const MAPPED = 1024
/** Pseudo-physical frames of what programs name. */
const PLACES: Readonly<Record<string, number>> = { d: 0x10, stack: 0x1e, code: Number(TEXT) / PAGE }
const [FIRST_PAGE, NAMED_PAGES] = [0x20, 64]
const CODE_PAGES = 64
const STACK_TOP = 'stacktop'
/** What a program may take, and how much of it at once. */
const BUDGET = 8000
const SLICE = 3000
/** Hypercalls between two counts of everything. */
const COUNT_EVERY = 500
/** Nobody waits for a hundred days: behind that, which a sleeping guest can get to here, times are not exact. */
const LAST_MOMENT = 2 ** 52
const FLAT_CS = 0xe033
const MEMORY_BYTES = 64 * 2 ** 20

let memory: Memory | null = null
const KERNEL = tinyKernel(new Uint8Array(CODE_PAGES * PAGE).fill(0xcc))

/** What became of a program. */
export type Ran = {
  readonly end: string
  readonly hypercalls: number
  readonly machine: DomUMachine
  /** Everything that the guest could see, as a few digits. */
  digest(): string
}

/** Numbers of a machine by the names that programs have for them. */
function namesOf({ xen, start, layout }: DomUMachine): Names {
  if (layout === null) throw new Error('the machine was not built here')
  const mfns = framesOf(xen, start.domain)
  const base = Number(BASE & 0xffff_ffff_ffffn)
  const places = new Map<string, number>(Object.entries(PLACES))
  places.set('start', layout.startInfo)
  places.set('store', layout.xenstore)
  places.set('console', layout.console)
  places.set('p2m', layout.p2mList.pfn)
  for (const level of [4, 3, 2, 1] as const) places.set(`l${level}`, tableFor(layout, level, base))
  places.set('l1b', tableFor(layout, 1, base + 2 ** 21))
  for (let i = 0; i < NAMED_PAGES; i++) places.set(`p${i}`, FIRST_PAGE + i)
  for (let i = 0; i < PAGES - MAPPED; i++) places.set(`f${i}`, MAPPED + i)
  const frames = new Map<string, number>([
    ['shared', start.domain.sharedInfo],
    ['m2p', xen.m2p.firstFrame],
    ['xenl3', xen.m2p.l3],
  ])
  const sixteen = 0xffff_0000_0000_0000n
  const wide = (va: number): bigint => BigInt(va) | (va >= 2 ** 47 ? sixteen : 0n)
  return (name) => {
    if (name === STACK_TOP) return wide(base + (PLACES.stack + 1) * PAGE)
    const [place, field = 'va'] = name.split('.')
    const frame = frames.get(place)
    if (frame !== undefined) {
      if (field === 'mfn') return BigInt(frame)
      return field === 'ma' ? BigInt(frame) * 4096n : 0n
    }
    const pfn = places.get(place)
    if (pfn === undefined) return undefined
    const va = base + pfn * PAGE
    const mfn = mfns[pfn] ?? 0
    const at = (pfn < MAPPED ? tableFor(layout, 1, va) : 0) * PAGE + slotAt(va, 1) * 8
    switch (field) {
      case 'va':
        return wide(va)
      case 'pfn':
        return BigInt(pfn)
      case 'mfn':
        return BigInt(mfn)
      case 'ma':
        return BigInt(mfn) * 4096n
      case 'pte':
        // The machine address of the entry that maps the page, and where the guest has that entry.
        return BigInt(mfns[Math.floor(at / PAGE)] ?? 0) * 4096n + BigInt(at % PAGE)
      case 'pteva':
        return wide(base + at)
      default:
        return undefined
    }
  }
}

/** Run a program's text. Throws BadInput for what is none, and Wrong for counts and safety that are broken. */
export function runProgram(text: string): Ran {
  return new Running(readProgram(text)).run()
}

/**
 * Whether a program that asks for a snapshot comes to the same without it. Throws Wrong where it does not: in a machine that
 * was saved and restored nothing shows that there was a break.
 */
export function checkSnapshot(text: string, digest: string): void {
  if (!/^snapshot \d/m.test(text)) return
  const unbroken = runProgram(text.replace(/^snapshot .*$/gm, '')).digest()
  if (unbroken !== digest) throw new Wrong('a snapshot shows', `${digest} with a break, ${unbroken} without`)
}

class Running {
  private readonly program: Program
  private readonly output = createHash('sha256')
  private readonly lines: string[] = []
  private machine: DomUMachine
  private hypercalls = 0
  private events = 0

  constructor(program: Program) {
    this.program = program
    memory ??= new Memory(MEMORY_BYTES)
    const kernel = { name: 'program', bytes: KERNEL }
    const options = { kernel, memory: PAGES, xen: program.settings.get('xen') ?? '4.17' }
    this.machine = buildKernelMachine(
      options,
      (bytes) => this.output.update(bytes),
      () => {},
      memory,
    )
    prepare(this.machine, program)
    this.listen()
  }

  private setting(name: string, usual: number): number {
    const value = Number(this.program.settings.get(name) ?? usual)
    return Number.isInteger(value) && value > 0 ? Math.min(value, 10_000_000) : usual
  }

  private listen(): void {
    const { machine } = this
    machine.guest.afterHypercall = () => {
      this.hypercalls++
      if (this.hypercalls % COUNT_EVERY === 0) checkCounts(machine)
      return true
    }
    if (!this.program.settings.has('traced')) return
    machine.xen.sink = (event) => {
      this.events += traceLine(event).length
    }
  }

  run(): Ran {
    const [budget, slice] = [this.setting('budget', BUDGET), this.setting('slice', SLICE)]
    let breakAt = this.setting('snapshot', Infinity)
    const typed = [...this.program.typed]
    let end: string = 'budget'
    for (let done = 0; done < budget && end === 'budget'; done += slice) {
      const line = typed.shift()
      if (line !== undefined) this.machine.console.type(Buffer.from(`${line}\n`))
      end = this.machine.guest.run(Math.min(slice, budget - done))
      if (end !== 'budget' || done < breakAt || this.machine.xen.clock.now > LAST_MOMENT) continue
      breakAt = Infinity
      this.saveAndRestore()
    }
    checkCounts(this.machine)
    const { hypercalls, machine } = this
    return { end, hypercalls, machine, digest: () => this.digest() }
  }

  /** Go on in a machine that was read from what this one is written as. */
  private saveAndRestore(): void {
    for (const { text } of this.machine.xen.console.lines) this.lines.push(text)
    const bytes = Buffer.concat([...snapshotParts(this.machine, '')].map((part) => Uint8Array.from(part)))
    try {
      const file = { name: 'snapshot', bytes }
      this.machine = guestOf(restoreSnapshot(file, (some) => this.output.update(some), memory ?? undefined))
    } catch (error) {
      throw new Wrong('a snapshot is refused', String(error))
    }
    this.listen()
  }

  /** The machine as it is: memory that the guest owns, registers, the clock, what was printed. */
  private digest(): string {
    const { xen, guest, start, xenstore } = this.machine
    const hash = createHash('sha256').update(`${this.output.copy().digest('hex')} ${this.events}`)
    const { u8, u32 } = xen.memory
    for (let mfn = 0; mfn < xen.maxPage; mfn++) {
      const record = xen.memory.record(mfn)
      if (record === -1) continue
      hash.update(u32.subarray(record, record + 3))
      if (!xen.memory.isTouched(mfn)) continue
      const at = xen.memory.frameWords(mfn) * 4
      const page = u8.subarray(at, at + PAGE)
      // A frame that is zero need not have been touched.
      if (Buffer.compare(page, ZEROS) !== 0) hash.update(page)
    }
    const { domain, vcpu } = start
    const { traps, callbacks, timers, blocked, polled, userRoot } = xen.vcpuOf(vcpu)
    const rest = {
      registers: [...vcpu.regs],
      rip: [guest.cpu.ripLow, guest.cpu.ripHigh, guest.cpu.getFlags()],
      instructions: guest.cpu.instructions,
      now: xen.clock.now,
      lines: [...this.lines, ...xen.console.lines.map(({ text }) => text)],
      store: xenstore.save(),
      domain: [[...traps], [...callbacks], timers, blocked, polled, domain.totPages, userRoot, vcpu.root],
    }
    return hash.update(JSON.stringify(rest)).digest('hex').slice(0, 16)
  }
}

const ZEROS = new Uint8Array(PAGE)

/** Guest's time that a program has in a whole run, in seconds; what it may put on its console; what it is told. */
const WHOLE = { timeLimit: 0.004, consoleLimit: 100_000, input: Buffer.from('hello\n\u0003\n') }

/**
 * Run a program as `boot --batch --explain` does, to its end: with its console, its refusals explained, its report in every
 * form, and its machine written down. What came of it, in words.
 */
export function bootProgram(text: string): string {
  const program = readProgram(text)
  let printed = 0
  const run = new KernelRun(
    {
      kernel: { name: 'program', bytes: KERNEL },
      memory: PAGES,
      xen: program.settings.get('xen') ?? '4.17',
      explain: true,
      ...WHOLE,
    },
    {
      output: (bytes) => {
        printed += bytes.length
      },
    },
  )
  const machine = guestOf(run.machine)
  prepare(machine, program)
  const outcome = run.runToEnd()
  checkCounts(machine)
  const result = run.result()
  const told = [
    junitReport(result),
    JSON.stringify(result),
    ...result.explanations.flatMap((explanation) => explanationLines(explanation, result.fault)),
  ]
  if (result.console.join('').length > WHOLE.consoleLimit) {
    throw new Wrong('a console beyond its limit', `${result.console.join('').length} characters`)
  }
  if (run.isAlive) restored(run.snapshot(), result.instructions)
  return `${outcome} ${result.instructions} ${printed} ${told.join('\n').length}`
}

function restored(bytes: Uint8Array, instructions: number): void {
  let run: KernelRun
  try {
    run = new KernelRun({ restore: { name: 'snapshot', bytes } })
  } catch (error) {
    throw new Wrong('a snapshot is refused', String(error))
  }
  run.step(100)
  if (run.result().instructions < instructions)
    throw new Wrong('a snapshot of another time', `${instructions}`)
}

/** Put code, data and handlers where they belong. */
function prepare(machine: DomUMachine, program: Program): void {
  const { xen, start } = machine
  const names = namesOf(machine)
  const number = (name: string): number => Number(names(name))
  const { code, labels } = assemble(program, BASE + TEXT, names)
  const write = (first: number, bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length; at += PAGE) {
      const part = bytes.subarray(at, at + PAGE)
      xen.memory.u8.set(part, xen.memory.frameWords(first + at / PAGE) * 4)
    }
  }
  write(number('code.mfn'), code.subarray(0, CODE_PAGES * PAGE))
  const all: Names = (name) => (name.startsWith('@') ? labels.get(name.slice(1)) : names(name))
  const lowest = BASE
  for (const { address, values } of program.data) {
    const va = sumOf(address, all)
    for (const [i, value] of values.entries()) {
      const at = Number(va - lowest) + i * 8
      const pfn = Math.floor(at / PAGE)
      if (!(pfn >= PLACES.d && pfn < FIRST_PAGE + NAMED_PAGES) || at % PAGE > PAGE - 8) continue
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(sumOf(value, all))
      const mfn = number('d.mfn') - PLACES.d + pfn
      xen.memory.u8.set(bytes, xen.memory.frameWords(mfn) * 4 + (at % PAGE))
    }
  }
  const pv = xen.vcpuOf(start.vcpu)
  for (const { kind, number: n, label, flags } of program.handlers) {
    const address = Number((labels.get(label) ?? 0n) & 0xffff_ffff_ffffn)
    const [which, how] = [Number(sumOf(n, all) & 0xffn), Number(sumOf(flags, all) & 0xffn)]
    if (kind === 'trap') pv.traps.set(which, { flags: how, cs: FLAT_CS, address })
    else pv.callbacks.set(which, { flags: how, address })
  }
  start.vcpu.setVa(4, Number((names(STACK_TOP) ?? 0n) & 0xffff_ffff_ffffn))
}

/**
 * Everything that is wrong with a machine. The Xen of 2011 has holes that break its safety, but its counts hold until one of
 * them is used: by XSA-148's large page a guest stores into its tables, which changes who holds what behind Xen's back.
 */
function wrongs(xen: Hypervisor): string[] {
  const all = auditMachine(xen)
  if (xen.version.holes.length === 0) return all
  return all.every((says) => says.startsWith('count')) ? all : []
}

export function checkCounts({ xen }: { readonly xen: Hypervisor }): void {
  const [wrong] = wrongs(xen)
  if (wrong !== undefined) throw new Wrong(kindOf(wrong), wrong)
}

/** What two findings of the audit have in common: its words without the numbers. */
function kindOf(says: string): string {
  return says.replace(/\b(?:[0-9]+|(?=[0-9a-f]*[0-9])[0-9a-f]+)\b/g, 'N')
}

/** Programs run in a domU. */
function guestOf(machine: KernelMachine): DomUMachine {
  if (machine.dom0 !== null) throw new Wrong('a domU has become a dom0', '')
  return machine
}
