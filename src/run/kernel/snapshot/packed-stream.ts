import { createHash } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { BadInput } from '../../../bits/bad-input.ts'

/**
 * Bytes of any number, packed piece by piece, so that neither who writes them nor who reads them has more than a piece in
 * memory. A hash over the packed bytes ends them.
 *
 *     piece: u32 bytes, u32 packed bytes, packed by deflate | ... | 0, 0 | SHA-256, 32 bytes
 */
const PIECE = 2 ** 20
const HEAD = 8
/** What deflate makes of bytes that cannot be packed is a little longer than these. */
const MOST_PACKED = PIECE + 2 ** 12
const HASH_BYTES = 32
/** Memory images are packed nearly as well as by the highest level, and much faster. */
const LEVEL = 1

/** Pack what comes. */
export function* packed(parts: Iterable<Uint8Array>): Generator<Uint8Array> {
  const hash = createHash('sha256')
  const piece = new Uint8Array(PIECE)
  let used = 0
  const pack = function* (): Generator<Uint8Array> {
    const body = deflateRawSync(piece.subarray(0, used), { level: LEVEL })
    const head = headOf(used, body.length)
    used = 0
    hash.update(head).update(body)
    yield head
    yield body
  }
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const count = Math.min(PIECE - used, part.length - at)
      piece.set(part.subarray(at, at + count), used)
      used += count
      at += count
      if (used === PIECE) yield* pack()
    }
  }
  if (used > 0) yield* pack()
  const end = headOf(0, 0)
  yield end
  yield hash.update(end).digest()
}

function headOf(bytes: number, packedBytes: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(bytes, packedBytes).buffer)
}

/** Reads a file that comes in parts: lines first, then what `packed` gave. */
export class PackedReader {
  private readonly parts: Iterator<Uint8Array>
  private readonly source: string
  private readonly hash = createHash('sha256')
  /** What has come and is not read yet. */
  private waiting: Uint8Array = new Uint8Array(0)
  private at = 0
  /** Unpacked bytes that are not read yet. */
  private piece: Uint8Array = new Uint8Array(0)

  /** @param source names the file in messages */
  constructor(parts: Iterable<Uint8Array>, source: string) {
    this.parts = parts[Symbol.iterator]()
    this.source = source
  }

  /** The next line, without its end; null for one that has more than `most` bytes, or no end. */
  line(most: number): string | null {
    const found: Uint8Array[] = []
    for (let length = 0; length <= most; ) {
      if (this.at === this.waiting.length && !this.next()) return null
      const newline = this.waiting.indexOf(10, this.at)
      const end = newline === -1 ? this.waiting.length : newline
      found.push(this.waiting.subarray(this.at, end))
      length += end - this.at
      this.at = end + 1
      if (newline !== -1) return length <= most ? Buffer.concat(found).toString('utf8') : null
      this.at = end
    }
    return null
  }

  /** Fill an array with the bytes that come next, unpacked. Throws BadInput where there are none. */
  read(into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      if (this.piece.length === 0 && !this.unpack()) throw this.damaged()
      const count = Math.min(this.piece.length, into.length - done)
      into.set(this.piece.subarray(0, count), done)
      this.piece = this.piece.subarray(count)
      done += count
    }
  }

  /** Nothing may follow, and the hash must be right. Throws BadInput. */
  end(): void {
    if (this.piece.length !== 0 || this.unpack()) throw this.damaged()
    this.checkHash()
  }

  /** The same for who does not want the rest. */
  skip(): void {
    while (this.unpack()) {}
    this.piece = new Uint8Array(0)
    this.checkHash()
  }

  private checkHash(): void {
    const wanted = this.hash.digest()
    const isSame = wanted.equals(this.packedBytes(HASH_BYTES))
    if (!isSame || this.at < this.waiting.length || this.next()) throw this.damaged()
  }

  damaged(): BadInput {
    return new BadInput(`${this.source}: the snapshot is cut off or damaged; make it again`)
  }

  /** Unpack the next piece. False when there is none. */
  private unpack(): boolean {
    const head = this.packedBytes(HEAD)
    this.hash.update(head)
    const view = new DataView(head.buffer, head.byteOffset, HEAD)
    const [bytes, packedBytes] = [view.getUint32(0, true), view.getUint32(4, true)]
    if (bytes === 0 && packedBytes === 0) return false
    if (bytes === 0 || bytes > PIECE || packedBytes > MOST_PACKED) throw this.damaged()
    const body = this.packedBytes(packedBytes)
    this.hash.update(body)
    try {
      // With a little room left, zlib does not ask for more of it.
      this.piece = inflateRawSync(body, { maxOutputLength: bytes, chunkSize: bytes + 64 })
    } catch {
      throw this.damaged()
    }
    if (this.piece.length !== bytes) throw this.damaged()
    return true
  }

  /** So many bytes of the file, which are good until the next are asked for. */
  private packedBytes(count: number): Uint8Array {
    if (this.waiting.length - this.at < count) {
      const parts = [this.waiting.subarray(this.at)]
      let length = parts[0].length
      while (length < count) {
        if (!this.next()) throw this.damaged()
        parts.push(this.waiting)
        length += this.waiting.length
      }
      this.waiting = Buffer.concat(parts)
      this.at = 0
    }
    this.at += count
    return this.waiting.subarray(this.at - count, this.at)
  }

  private next(): boolean {
    const { done, value } = this.parts.next()
    this.waiting = done === true ? new Uint8Array(0) : value
    this.at = 0
    return done !== true
  }
}
