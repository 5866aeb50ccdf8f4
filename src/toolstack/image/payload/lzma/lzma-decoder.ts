import { BadPayload } from '../bad-payload.ts'
import { DecoderMemory, SLACK_BYTES, SLICE_BYTES } from '../decoder-memory.ts'
import { STATUS } from './decode-function.ts'
import { FIELD, LITERAL_BYTES, PROB_SHIFT, PROBS } from './lzma-memory.ts'
import { lzmaModule } from './lzma-module.ts'
import { EVEN, TOP } from './range-code.ts'

/** Bytes that begin a range decoder: a zero, and its code. */
const START_BYTES = 5

type Sizes = {
  /** Bytes of all output. */
  readonly outputBytes: number
  /** The most packed bytes that are given at once. */
  readonly inputBytes: number
  /** The most that lc + lp may be. */
  readonly literalBits: number
}

/** A decoder of LZMA's symbols, for the containers that cut them into pieces. */
export class LzmaDecoder {
  readonly memory: DecoderMemory
  private readonly run: (end: number, inputEnd: number) => number
  private readonly literalBits: number
  private readonly probs: Uint16Array
  /** Addresses of the input, of its end, and of the end of the probabilities that are in use. */
  private readonly input: number
  private inputEnd = 0
  private probsEnd: number

  constructor({ outputBytes, inputBytes, literalBits }: Sizes) {
    this.literalBits = literalBits
    this.input = PROBS.literal + (LITERAL_BYTES << literalBits)
    this.memory = new DecoderMemory({ ownBytes: this.input + inputBytes, outputBytes })
    this.probs = new Uint16Array(this.memory.wasm.buffer)
    this.probsEnd = PROBS.literal
    this.run = this.memory.run(lzmaModule()).decode
    this.at = 0
    this.resetDictionary()
  }

  /** Bytes of output so far. */
  get at(): number {
    return this.field('to') - this.memory.start
  }

  private set at(bytes: number) {
    this.setField('to', this.memory.start + bytes)
  }

  private field(name: keyof typeof FIELD): number {
    return this.memory.u32[FIELD[name] >> 2]
  }

  private setField(name: keyof typeof FIELD, value: number): void {
    this.memory.u32[FIELD[name] >> 2] = value
  }

  /** Set lc, lp and pb from their byte, `(pb * 5 + lp) * 9 + lc`, and forget everything learnt. */
  setProperties(byte: number): void {
    const [lc, rest] = [byte % 9, Math.floor(byte / 9)]
    const [lp, pb] = [rest % 5, Math.floor(rest / 5)]
    if (pb > 4 || lc + lp > this.literalBits) throw new BadPayload('its LZMA properties cannot be')
    this.setField('lc', lc)
    this.setField('lpMask', (1 << lp) - 1)
    this.setField('pbMask', (1 << pb) - 1)
    this.probsEnd = PROBS.literal + (LITERAL_BYTES << (lc + lp))
    this.resetState()
  }

  resetState(): void {
    for (const name of ['state', 'rep0', 'rep1', 'rep2', 'rep3', 'pending'] as const) this.setField(name, 0)
    this.probs.fill(EVEN, PROBS.isMatch >> PROB_SHIFT, this.probsEnd >> PROB_SHIFT)
  }

  resetDictionary(): void {
    this.setField('dictionary', this.field('to'))
  }

  /** Bytes that are stored as they are. */
  store(bytes: Uint8Array): void {
    const { at, memory } = this
    if (at + bytes.length > memory.size) throw new BadPayload('it is longer than it says')
    memory.u8.set(bytes, memory.start + at)
    this.at = at + bytes.length
  }

  /** Begin with these packed bytes. False when LZMA does not begin so. */
  begin(bytes: Uint8Array): boolean {
    const { memory, input } = this
    memory.u8.set(bytes, input)
    this.inputEnd = input + bytes.length
    // Past the end zeros are read, by a symbol that is cut off.
    memory.u8.fill(0, this.inputEnd, this.inputEnd + SLACK_BYTES)
    const code = memory.u8.subarray(input, input + START_BYTES)
    this.setField('range', 0xffff_ffff)
    this.setField('code', (code[1] << 24) | (code[2] << 16) | (code[3] << 8) | code[4])
    this.setField('from', input + START_BYTES)
    return code[0] === 0
  }

  /** Decode until the output has `end` bytes; what it came to before is a value of STATUS. */
  decode(end: number): number {
    const { memory, inputEnd } = this
    if (end > memory.size) throw new BadPayload('it is longer than it says')
    while (this.at < end) {
      const stop = Math.min(this.at + SLICE_BYTES, end)
      const status = this.run(memory.start + stop, inputEnd)
      if (status === STATUS.beforeBeginning) throw new BadPayload('it copies from before its beginning')
      if (status !== STATUS.done) return status
    }
    return STATUS.done
  }

  /** Whether all of the input was read and nothing beyond it. The encoder leaves a code of 0. */
  finish(): boolean {
    const needsByte = this.field('range') < TOP
    const from = this.field('from') + (needsByte ? 1 : 0)
    const code = needsByte ? (this.field('code') << 8) | this.memory.u8[from - 1] : this.field('code')
    return code === 0 && from === this.inputEnd
  }

  /** Whether nothing beyond the input was read. */
  isWithinInput(): boolean {
    return this.field('from') <= this.inputEnd
  }

  /** Whether the end marker comes next. */
  endsHere(): boolean {
    // A symbol more: what it may write lies behind the output.
    return this.run(this.field('to') + 1, this.inputEnd) === STATUS.endMarker
  }
}
