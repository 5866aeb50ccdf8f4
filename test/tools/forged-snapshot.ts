import { createHash } from 'node:crypto'
import { GROUP_FRAMES } from '../../src/run/kernel/snapshot/frames.ts'
import { PackedReader, packed } from '../../src/run/kernel/snapshot/packed-stream.ts'

/** What a snapshot says, and the bytes that are packed behind it: symbols, records, frames. */
export type Taken = {
  // biome-ignore lint/suspicious/noExplicitAny: an attacker's head has anything in it
  readonly head: any
  readonly data: Uint8Array
}

/** Take a snapshot apart. */
export function takeApart(bytes: Uint8Array): Taken {
  const reader = new PackedReader([bytes], 'snapshot')
  reader.line(1000)
  const head = JSON.parse(reader.line(2 ** 28)!)
  const data = new Uint8Array(framesAt(head) + head.frames * 4100)
  reader.read(data)
  reader.end()
  return { head, data }
}

/** A file of these, with the right hashes: anybody can make one. */
export function forge({ head, data }: Taken): Uint8Array {
  const text = JSON.stringify(head) ?? ''
  const hash = createHash('sha256').update(text).digest('hex')
  return Buffer.concat([Buffer.from(`xenolith snapshot 7 ${hash}\n${text}\n`), ...packed([data])])
}

/** Where the numbers of frames begin in the data. */
function framesAt(head: Taken['head']): number {
  return head.symbols + head.groups.length * GROUP_FRAMES * 12 + (1 + head.domain.grants) * 12
}

/** The data as words, and where in them a frame's record is. */
export function recordIn({ head, data }: Taken, mfn: number) {
  const words = new Uint32Array(data.buffer, head.symbols, (data.length - head.symbols) >> 2)
  const type = Math.floor(mfn / GROUP_FRAMES) * GROUP_FRAMES * 3 + (mfn % GROUP_FRAMES)
  return { words, type, refs: type + GROUP_FRAMES, owner: type + 2 * GROUP_FRAMES }
}

/** The frames that have bytes. */
export function framesIn({ head, data }: Taken): Uint32Array {
  return new Uint32Array(data.buffer, framesAt(head), head.frames)
}

/** The bytes of one of them, as words. */
export function contentIn(taken: Taken, mfn: number): Uint32Array {
  const n = framesIn(taken).indexOf(mfn)
  if (n === -1) throw new Error(`frame ${mfn} has no bytes`)
  const { head, data } = taken
  return new Uint32Array(data.buffer, framesAt(head) + head.frames * 4 + n * 4096, 1024)
}
