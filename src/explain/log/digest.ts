import type { Damage, NumberedLine } from './read-log.ts'
import { nextHash, wordAt, wordIn } from './sieve.ts'
import { LOG_SIEVE, TROUBLE } from './telling-words.ts'

/**
 * A log of any size in bounded memory. Its first `HEAD` bytes are kept whole. Of the rest only lines that can mean
 * something are looked at (`LOG_SIEVE`): those that are trouble are kept with what stands around them, up to
 * `KEPT` bytes, and of all of them the last `RECENT` bytes, as a log ends with what it is about.
 */
export type LogDigest = {
  push(chunk: Uint8Array): void
  end(): Digest
}

export type Digest = {
  readonly lines: readonly NumberedLine[]
  readonly damage: readonly Damage[]
  readonly bytes: number
  /** Whether it is no text. */
  readonly binary: boolean
}

const MIB = 2 ** 20
const HEAD = MIB
const KEPT = 2 * MIB
const RECENT = MIB / 2
/** Lines before and behind trouble that belong to it: a boot's memory map comes this long before its end. */
const BEFORE = 400
const BEHIND = 100
/** Of a longer line the rest is skipped. */
const LONGEST = 2 ** 16
const NEWLINE = 10
const EMPTY = new Uint8Array(0)

/** Takes a log's bytes piece by piece and keeps of a file of any size what matters. */
export function logDigest(): LogDigest {
  const decoder = new TextDecoder()
  const head: NumberedLine[] = []
  const rest = keeper()
  const damage: Damage[] = []
  const state = { bytes: 0, number: 0, looked: 0, control: 0 }
  let carry: Uint8Array = EMPTY
  let skipping = false

  /** A whole line; of the head any, of the rest one that tells. */
  const line = (bytes: Uint8Array, word?: string) => {
    state.number++
    const text = decoder.decode(bytes)
    const one = { number: state.number, text }
    if (state.bytes < HEAD) head.push(one)
    else {
      const telling = word ?? wordIn(LOG_SIEVE, text)
      if (telling !== undefined) rest.add(one, TROUBLE.has(telling))
    }
  }
  const tooLong = () => {
    if (damage.length < 8)
      damage.push({
        line: state.number,
        what: `the line has more than ${LONGEST} bytes; what is beyond is not read`,
      })
  }

  /** Line by line: the head, and the line that a chunk's border cut. Returns where the next line begins. */
  const readLines = (chunk: Uint8Array): number => {
    let start = 0
    while (state.bytes < HEAD || carry.length > 0 || skipping) {
      const end = chunk.indexOf(NEWLINE, start)
      if (end < 0) break
      if (skipping) skipping = false
      else {
        const whole = joined(carry, chunk.subarray(start, end))
        line(whole.subarray(0, LONGEST))
        if (whole.length > LONGEST) tooLong()
      }
      carry = EMPTY
      state.bytes += end + 1 - start
      start = end + 1
    }
    return start
  }

  /** The telling ones of the whole lines from `start` on; returns where the last, cut line begins. */
  const sift = (chunk: Uint8Array, start: number): number => {
    const length = chunk.lastIndexOf(NEWLINE) + 1
    if (length <= start) return start
    const scan = { at: start, hash: 0, bucket: 0, lineStart: start, lines: 0 }
    for (nextCandidate(chunk, length, scan); scan.at < length; nextCandidate(chunk, length, scan)) {
      const word = wordAt(LOG_SIEVE, scan.bucket, chunk, scan.at)
      if (word !== undefined) {
        const end = endOfLine(chunk, scan.at)
        state.number += scan.lines
        scan.lines = 0
        line(chunk.subarray(scan.lineStart, Math.min(end, scan.lineStart + LONGEST)), word)
        scan.at = end
        scan.lineStart = end + 1
      }
      scan.at++
    }
    state.number += scan.lines
    state.bytes += length - start
    return length
  }

  return {
    push(chunk) {
      countControls(chunk, state)
      const start = readLines(chunk)
      const sifts = state.bytes >= HEAD && carry.length === 0 && !skipping
      const left = chunk.subarray(sifts ? sift(chunk, start) : start)
      if (skipping || left.length === 0) {
        state.bytes += left.length
        return
      }
      if (carry.length + left.length <= LONGEST) carry = joined(carry, left).slice()
      else {
        line(joined(carry, left).subarray(0, LONGEST))
        tooLong()
        carry = EMPTY
        skipping = true
      }
      state.bytes += left.length
    },
    end() {
      if (carry.length > 0) line(carry)
      const { lines, dropped } = rest.end()
      if (dropped > 0) damage.push({ what: `the log is long: ${dropped} of its telling lines were not kept` })
      const binary = state.looked > 0 && state.control / state.looked > 0.04
      return { lines: [...head, ...lines], damage, bytes: state.bytes, binary }
    },
  }
}

/** Keeps trouble with what is around it, and the last of everything. */
function keeper() {
  const kept: NumberedLine[] = []
  let keptBytes = 0
  let recent: NumberedLine[] = []
  let recentBytes = 0
  let follow = 0
  let dropped = 0

  const shorten = () => {
    // The older half goes at once, so that this is rare; what trouble has taken is not in it.
    const half = recent.length >> 1
    dropped += half
    recent = recent.slice(half)
    recentBytes = sizeOf(recent)
  }
  const keep = (lines: readonly NumberedLine[]) => {
    for (const line of lines) {
      kept.push(line)
      keptBytes += line.text.length
    }
  }
  return {
    add(line: NumberedLine, trouble: boolean): void {
      if (trouble && keptBytes < KEPT) {
        const near = recent.findIndex(({ number }) => number >= line.number - BEFORE)
        if (near >= 0) {
          keep(recent.slice(near))
          dropped += near
          recent = []
          recentBytes = 0
        }
        keep([line])
        follow = line.number + BEHIND
      } else if (line.number <= follow && keptBytes < KEPT) keep([line])
      else {
        recent.push(line)
        recentBytes += line.text.length
        if (recentBytes > RECENT) shorten()
      }
    },
    end: () => ({ lines: [...kept, ...recent], dropped }),
  }
}

function sizeOf(lines: readonly NumberedLine[]): number {
  return lines.reduce((sum, { text }) => sum + text.length, 0)
}

type Scan = { at: number; hash: number; bucket: number; lineStart: number; lines: number }

/** The hot loop, nothing but a look-up a byte: goes on to the next place where three letters of the sieve end. */
function nextCandidate(chunk: Uint8Array, length: number, scan: Scan): void {
  const { table } = LOG_SIEVE
  let { at, hash, lineStart, lines } = scan
  let bucket = 0
  for (; at < length; at++) {
    const byte = chunk[at]
    hash = nextHash(hash, byte)
    if (byte === NEWLINE) {
      lines++
      lineStart = at + 1
    }
    bucket = table[hash]
    if (bucket !== 0) break
  }
  scan.at = at
  scan.hash = hash
  scan.bucket = bucket
  scan.lineStart = lineStart
  scan.lines = lines
}

/** indexOf() of a typed array costs more than the rest of a line of a log. */
function endOfLine(chunk: Uint8Array, from: number): number {
  let at = from
  while (chunk[at] !== NEWLINE) at++
  return at
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

const LOOKED_AT = 2 ** 18

/** Counts the bytes that no text has, in the first part of the log. */
function countControls(chunk: Uint8Array, state: { looked: number; control: number }): void {
  const length = Math.min(chunk.length, LOOKED_AT - state.looked)
  for (let i = 0; i < length; i++) {
    const byte = chunk[i]
    if (byte < 9 || (byte > 13 && byte < 32 && byte !== 27)) state.control++
  }
  state.looked += Math.max(0, length)
}
