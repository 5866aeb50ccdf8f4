import { hasMessageWords, MESSAGES } from './message-table.ts'
import type { Damage, NumberedLine } from './read-log.ts'

/**
 * A log of any size in bounded memory. Its first `HEAD` bytes are kept whole; of the rest the lines that can mean
 * something, the last `TAIL` bytes of them, as a log ends with what it is about. A line is found by three bytes in a row
 * that one of the words we look for has: one table look-up a byte, and only then a pattern.
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
const HEAD = 6 * MIB
const TAIL = 6 * MIB
/** Of a longer line the rest is skipped. */
const LONGEST = 2 ** 16
const NEWLINE = 10

/** Words of lines that become records and are no messages of Xen's table: linux-lines.ts, register-lines.ts, xen-lines.ts. */
const WORDS = [
  'Xen version',
  '[ Xen-',
  'FATAL TRAP',
  'FATAL PAGE FAULT',
  'Xen BUG at',
  'Panic on CPU',
  'Dom0 crashed',
  'Domain 0 crashed',
  'Pagetable walk',
  ' L4[0x',
  ' L3[0x',
  ' L2[0x',
  ' L1[0x',
  'RIP:',
  'EIP',
  'CONTEXT:',
  'rax: ',
  'rdx: ',
  'rbp: ',
  'r9:  ',
  'r12: ',
  'r15: ',
  'cr3: ',
  'RAX: ',
  'RDX: ',
  'RBP: ',
  'R10: ',
  'R13: ',
  'CR2: ',
  'multicall(s) failed',
  'call  1',
  ': op=',
  'unable to handle',
  'Oops:',
  'error_code(0x',
  'kernel BUG at',
  'WARNING:',
  'Kernel panic',
  '+0x',
  'mapping kernel into',
  'about to get started',
  'Linux version',
  'ommand line:',
  'RAM map:',
  'Booting paravirtualized',
  'Hypervisor detected',
  'kernel direct mapping tables',
  'init_memory_mapping',
  'Freeing unused',
  'Modules linked in',
  'comm: ',
  'Dom0 kernel:',
  'Loaded kernel:',
  'Page tables:',
  'Boot stack:',
  'TOTAL:  ',
  'Phys-Mach map:',
  'Dom0 alloc.:',
  'ACPI NVS',
  'usable',
  'reserved)',
  'with E820',
  'Guest Loglevel',
]
const LINE = new RegExp(WORDS.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'))

const MASK = 0x3ffff
const next = (hash: number, byte: number) => ((hash << 6) ^ byte) & MASK

/** For each word the three bytes of it that are rarest in logs. */
function sieve(): Uint8Array {
  const table = new Uint8Array(MASK + 1)
  const literals = MESSAGES.map(({ template }) => longestRun(template))
  for (const word of [...WORDS, ...literals]) {
    let best = ''
    let rarity = -1
    for (let i = 0; i + 3 <= word.length; i++) {
      const three = word.slice(i, i + 3)
      const rare = [...three].reduce((sum, letter) => sum + rareness(letter), 0)
      if (rare > rarity) [best, rarity] = [three, rare]
    }
    table[[...best].reduce((hash, letter) => next(hash, letter.charCodeAt(0)), 0)] = 1
  }
  return table
}

function longestRun(template: string): string {
  return template
    .trim()
    .split(/%#?0?\d*l?[xXdu]|%pv|%pd|%pS|%\.?\d*s|%p/)
    .toSorted((a, b) => b.length - a.length)[0]
}

/** Capitals and punctuation are rare in a log, digits, blanks and the letters of hexadecimal are everywhere. */
function rareness(letter: string): number {
  if (/[0-9a-f ]/.test(letter)) return 0
  if (/[XEN()[\]:]/.test(letter)) return 1
  if (/[etaoinsrhl]/.test(letter)) return 2
  return /[a-z]/.test(letter) ? 4 : 5
}

/** The words of `LINE` in a line that the sieve let through. */
const isTelling = (text: string) => LINE.test(text) || hasMessageWords(text)

export function logDigest(): LogDigest {
  const table = sieve()
  const decoder = new TextDecoder()
  const head: NumberedLine[] = []
  let tail: NumberedLine[] = []
  const damage: Damage[] = []
  const state = { bytes: 0, number: 0, tailBytes: 0, dropped: 0, passed: 0, control: 0, looked: 0 }
  let carry: Uint8Array = new Uint8Array(0)
  let skipping = false

  const keep = (bytes: Uint8Array, sieved: boolean) => {
    state.number++
    const text = decoder.decode(bytes)
    const line = { number: state.number, text }
    if (!sieved) {
      head.push(line)
      return
    }
    if (!isTelling(text)) return
    tail.push(line)
    state.tailBytes += text.length
    if (state.tailBytes <= TAIL) return
    // The older half goes at once, so that this happens rarely.
    const half = tail.length >> 1
    state.dropped += half
    state.tailBytes = tail.slice(half).reduce((sum, one) => sum + one.text.length, 0)
    tail = tail.slice(half)
  }
  const tooLong = (number: number) => {
    if (damage.length < 8)
      damage.push({
        line: number,
        what: `the line has more than ${LONGEST} bytes; what is beyond is not read`,
      })
  }

  return {
    push(chunk) {
      countControls(chunk, state)
      let start = 0
      if (state.bytes < HEAD || carry.length > 0 || skipping) {
        // Line by line: all of the head, and the line that a chunk's border cut.
        for (;;) {
          const end = chunk.indexOf(NEWLINE, start)
          if (end < 0) break
          if (skipping) skipping = false
          else if (carry.length + end - start > LONGEST) {
            keep(joined(carry, chunk.subarray(start, end)).subarray(0, LONGEST), state.bytes >= HEAD)
            tooLong(state.number)
          } else keep(joined(carry, chunk.subarray(start, end)), state.bytes >= HEAD)
          carry = EMPTY
          state.bytes += end + 1 - start
          start = end + 1
          if (state.bytes >= HEAD) break
        }
      }
      if (state.bytes >= HEAD && carry.length === 0 && !skipping) start = sift(chunk, start)
      const rest = chunk.subarray(start)
      state.bytes += rest.length
      if (skipping || rest.length === 0) return
      if (carry.length + rest.length <= LONGEST) carry = joined(carry, rest).slice()
      else {
        keep(joined(carry, rest).subarray(0, LONGEST), state.bytes > HEAD)
        tooLong(state.number)
        carry = EMPTY
        skipping = true
      }
    },
    end() {
      if (carry.length > 0) keep(carry, state.bytes > HEAD)
      if (state.dropped > 0)
        damage.push({
          what: `the log is long: ${state.dropped} telling lines between line ${head.at(-1)?.number ?? 0} and line ${tail[0]?.number ?? 0} were not kept`,
        })
      const binary = state.looked > 0 && state.control / state.looked > 0.04
      return { lines: [...head, ...tail], damage, bytes: state.bytes, binary }
    },
  }

  /** The hot loop: finds the telling lines of whole lines from `start` on, and returns where the last, cut line begins. */
  function sift(chunk: Uint8Array, start: number): number {
    let hash = 0
    let lineStart = start
    let hit = false
    let number = state.number
    const length = chunk.length
    for (let i = start; i < length; i++) {
      const byte = chunk[i]
      if (byte === NEWLINE) {
        if (hit) {
          state.number = number
          keep(chunk.subarray(lineStart, Math.min(i, lineStart + LONGEST)), true)
          hit = false
        }
        number++
        lineStart = i + 1
      } else {
        hash = ((hash << 6) ^ byte) & MASK
        if (table[hash] === 1) hit = true
      }
    }
    state.number = number
    state.bytes += lineStart - start
    return lineStart
  }
}

const EMPTY = new Uint8Array(0)

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
