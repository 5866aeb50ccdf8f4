import { REGION, TWO_32 } from '../../bits/address.ts'
import type { CoreOptions } from '../../cpu/cpu.ts'
import { Guest, type GuestEnd } from '../../guest/guest.ts'
import { RAX, type Vcpu } from '../../machine/vcpu/vcpu.ts'
import { Probe } from '../../script/probe.ts'
import { Symbols } from '../../script/symbols.ts'
import { readImage } from '../../toolstack/image/image.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import type { Recording } from './script.ts'
import { scriptMachine } from './script-machine.ts'

/** A run of the probe's image: what stood on the console, Xen's lines with their `(XEN) `, and how it ended. */
export type ProbeRun = {
  readonly lines: readonly string[]
  readonly end: 'end' | 'die' | Exclude<GuestEnd, 'stopped' | 'idle'>
  /** Instructions that the guest has executed. */
  readonly instructions: number
}

export type ProbeOptions = {
  /** The version profile of Xen. */
  readonly xen: string
  readonly domain: 'dom0' | 'domU'
  /** Use the frames of this recording. */
  readonly frames: Recording | null
  /** The most instructions that the guest may take. */
  readonly budget: number
  /** How its code is executed. */
  readonly core?: CoreOptions
}

/** Where the probe in a domU leaves what its toolstack is to do for it: see guests/probe/toolstack.c. */
const MAILBOX = REGION.kernelMap + 0x11_1000
const MAIL = { state: 0, bytes: 4, frame: 8, text: 16, textBytes: 2048 } as const
const [NOTHING, TEXT, FRAME] = [0, 1, 2]

/**
 * Boot the probe's image on the machine of the recordings, and let it run a script. It executes its own code; only in a
 * domU the toolstack that it talks to is played.
 *
 * @param image the probe, an ELF file
 */
export function bootProbe(image: Uint8Array, script: string, options: ProbeOptions): ProbeRun {
  const { frames, domain } = options
  const given = frames?.lines.flatMap((line) => framesGiven(line.sym)) ?? []
  const kernel = readImage(image, 'probe')
  const { xen, vcpu, dom0 } = scriptMachine({
    xen: options.xen,
    domain,
    scriptBytes: script.length,
    frames: frames === null ? null : { syms: frames.header.syms, p2m: frames.header.p2m ?? [] },
    reserved: new Set(given),
    code: { image: kernel, imageName: 'probe', script: Buffer.from(script, 'latin1') },
  })
  const guest = new Guest(xen, vcpu, kernel.entry, options.core)
  const console = new ConsoleTap(xen, frames)
  const toolstack = dom0 === null ? null : new Toolstack(xen, dom0, vcpu, console)
  guest.afterHypercall = () => {
    console.drain()
    toolstack?.serve()
    return console.ended === null
  }
  const result = guest.run(options.budget)
  // A probe that waits for an event gets no further either.
  const end = result === 'idle' ? 'budget' : result
  console.drain()
  return {
    lines: console.lines,
    end: console.ended ?? (end === 'stopped' ? 'end' : end),
    instructions: guest.cpu.instructions,
  }
}

/** The frames in a recorded line's `sym`: hex, with the old name of the frame behind an equals sign. */
function framesGiven(sym: Record<string, string> | undefined): number[] {
  return Object.values(sym ?? {}).map((text) => Number.parseInt(text, 16))
}

/** Collects whole lines, tells the end, and lets frames be given out as the recording has it. */
class ConsoleTap {
  readonly lines: string[] = []
  ended: 'end' | 'die' | null = null
  private readonly xen: Hypervisor
  private readonly frames: Recording | null
  private partial = ''
  private operation = -1

  constructor(xen: Hypervisor, frames: Recording | null) {
    this.xen = xen
    this.frames = frames
  }

  drain(): void {
    const { lines } = this.xen.console
    for (const { source, text } of lines) {
      if (source === 'xen') this.lines.push(text)
      else this.guestLine(text)
    }
    lines.length = 0
  }

  /** Text of a domU, which its toolstack prints. */
  print(text: string): void {
    const lines = (this.partial + text).split('\n')
    this.partial = lines.pop() ?? ''
    for (const line of lines) this.guestLine(line)
  }

  private guestLine(text: string): void {
    this.lines.push(text)
    if (text.startsWith('@end')) this.ended = 'end'
    if (text.startsWith('@die')) this.ended = 'die'
    if (!text.startsWith('@op ')) return
    this.operation++
    const line = this.frames?.lines[this.operation]
    const takes = /^(popp|exch|incr)\b/.test(line?.op.trim() ?? '')
    this.xen.heap.wishes = takes ? framesGiven(line?.sym) : []
  }
}

/** dom0's part for a domU: it prints its lines and asks Xen about frames, when the domU gives up the CPU for that. */
class Toolstack {
  private readonly xen: Hypervisor
  private readonly vcpu: Vcpu
  private readonly asker: Probe
  private readonly console: ConsoleTap

  constructor(xen: Hypervisor, dom0: Vcpu, vcpu: Vcpu, console: ConsoleTap) {
    this.xen = xen
    this.vcpu = vcpu
    this.console = console
    this.asker = new Probe(dom0, new Symbols(() => {}))
    this.asker.start()
    xen.current = xen.vcpuOf(vcpu)
    xen.console.lines.length = 0
  }

  serve(): void {
    if (this.vcpu.regs[RAX * 2] !== 0) return
    const words = this.vcpu.tryReadable(MAILBOX)
    if (words === -1) return
    const { u32, u8 } = this.xen.memory
    const state = u32[words + MAIL.state / 4]
    if (state === NOTHING) return
    // The toolstack ran in between: its domain comes back with no translations.
    this.xen.flushTlbs()
    if (state === TEXT) {
      const length = Math.min(MAIL.textBytes, u32[words + MAIL.bytes / 4])
      const text = u8.subarray(words * 4 + MAIL.text, words * 4 + MAIL.text + length)
      this.console.print(Buffer.from(text).toString('latin1'))
    } else if (state === FRAME) {
      this.asker.askAbout(u32[words + MAIL.frame / 4 + 1] * TWO_32 + u32[words + MAIL.frame / 4])
      this.xen.current = this.xen.vcpuOf(this.vcpu)
      this.console.drain()
    }
    u32[words + MAIL.state / 4] = NOTHING
  }
}
