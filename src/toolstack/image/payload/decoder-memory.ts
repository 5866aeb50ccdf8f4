import { BadPayload } from './bad-payload.ts'

/** Of WebAssembly: a page's bytes, and how many pages 32-bit addresses reach. */
const PAGE_BYTES = 65536
const MOST_PAGES = 65536
/** What a decoder may read beyond its input, and write beyond its output: it moves many bytes at once. */
export const SLACK_BYTES = 64
/** Functions of WebAssembly become fast when they are called again, not while they run: so much of output a call. */
export const SLICE_BYTES = 2 ** 16

/**
 * The memory of a decoder that is WebAssembly: what it keeps and its input, and behind that the output, which stays
 * where it was unpacked to. It is freed with the output.
 */
export class DecoderMemory {
  readonly wasm: WebAssembly.Memory
  readonly u8: Uint8Array
  readonly u32: Uint32Array
  /** Address of the output. */
  readonly start: number
  /** Bytes of output. */
  readonly size: number

  /** @throws BadPayload where there is no memory for that */
  constructor({ ownBytes, outputBytes }: { readonly ownBytes: number; readonly outputBytes: number }) {
    this.start = Math.ceil((ownBytes + SLACK_BYTES) / PAGE_BYTES) * PAGE_BYTES
    this.size = outputBytes
    const pages = Math.ceil((this.start + outputBytes + SLACK_BYTES) / PAGE_BYTES)
    this.wasm = reserve(pages)
    this.u8 = new Uint8Array(this.wasm.buffer)
    this.u32 = new Uint32Array(this.wasm.buffer)
  }

  /** All of the output, in place. */
  output(): Uint8Array {
    return this.u8.subarray(this.start, this.start + this.size)
  }

  /** Functions of a module over this memory. */
  run(module: WebAssembly.Module): WebAssembly.Instance['exports'] {
    return new WebAssembly.Instance(module, { env: { memory: this.wasm } }).exports
  }
}

function reserve(pages: number): WebAssembly.Memory {
  try {
    if (pages <= MOST_PAGES) return new WebAssembly.Memory({ initial: pages, maximum: pages })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  throw new BadPayload(`there is no memory of ${Math.ceil(pages / 16)} MiB to unpack it in`)
}
