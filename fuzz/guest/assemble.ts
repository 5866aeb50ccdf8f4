import { BadInput } from '../../src/bits/bad-input.ts'
import { type Code, encode, sizeOf } from './statements.ts'

/**
 * Programs for a guest, as text, a statement a line: what a fuzzer puts together at random, takes apart line by line, and
 * keeps. Whatever is missing for a line (a label that went with another line) is zero, so that any of the lines is a program.
 *
 *     data ADDRESS VALUE...      eight bytes each, there before the guest begins
 *     trap VECTOR LABEL FLAGS    a handler of the guest's, registered before it begins; callback TYPE LABEL FLAGS
 *     type TEXT                  somebody types a line
 *     xen PROFILE                and budget, slice: instructions in all and at once; traced 1: somebody looks at events;
 *                                snapshot N: after so many the machine is written down and read back
 *     LABEL:                     names the place
 *     call NR ARGUMENTS...       a hypercall
 *     put8 ADDRESS VALUE         and put16, put32, put64: a store
 *     hex BYTES                  machine code
 *
 * and what else statements.ts has. A value is a sum of numbers and names: `p3` is the address of the guest's third page,
 * `p3.mfn` its frame, `p3.ma` the frame's machine address, so that `p3.ma+0x67` is an entry that maps it.
 */
export type Program = {
  readonly data: readonly { readonly address: string; readonly values: readonly string[] }[]
  readonly handlers: readonly {
    readonly kind: 'trap' | 'callback'
    readonly number: string
    readonly label: string
    readonly flags: string
  }[]
  readonly typed: readonly string[]
  readonly settings: ReadonlyMap<string, string>
  readonly statements: readonly Code[]
  /** By name, the number of the statement that a label stands before. */
  readonly labels: ReadonlyMap<string, number>
}

/** What can be set for the whole program. */
const SETTINGS = new Set(['xen', 'budget', 'slice', 'traced', 'snapshot'])

/** Read a program. Throws BadInput for a line that is none. */
export function readProgram(text: string): Program {
  const data: Program['data'][number][] = []
  const handlers: Program['handlers'][number][] = []
  const typed: string[] = []
  const settings = new Map<string, string>()
  const statements: Code[] = []
  const labels = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [word, ...rest] = line.trim().split(/ +/)
    if (word === '' || word.startsWith('#')) continue
    if (word.endsWith(':')) labels.set(word.slice(0, -1), statements.length)
    else if (word === 'data') data.push({ address: rest[0] ?? '0', values: rest.slice(1) })
    else if (word === 'trap' || word === 'callback') {
      handlers.push({ kind: word, number: rest[0] ?? '0', label: rest[1] ?? '', flags: rest[2] ?? '0' })
    } else if (word === 'type') typed.push(rest.join(' '))
    else if (SETTINGS.has(word)) settings.set(word, rest[0] ?? '')
    else statements.push({ name: word, operands: rest })
  }
  for (const { name, operands } of statements) {
    if (sizeOf({ name, operands }) === -1) throw new BadInput(`no statement: ${name} ${operands.join(' ')}`)
  }
  return { data, handlers, typed, settings, statements, labels }
}

/** Numbers for the names in values, modulo 2^64. */
export type Names = (name: string) => bigint | undefined

const MASK = (1n << 64n) - 1n

/** The value of a sum; what is not known is zero. */
export function sumOf(text: string, names: Names): bigint {
  let sum = 0n
  for (const [, sign, term] of text.matchAll(/([+-]?)([^+-]+)/g)) {
    const value = /^(0x[0-9a-f]{1,17}|[0-9]{1,20})$/i.test(term) ? BigInt(term) : (names(term) ?? 0n)
    sum += sign === '-' ? -value : value
  }
  return sum & MASK
}

/** The stubs behind every program: where a handler may be that is none of the program's own. */
const STUBS: readonly (readonly [label: string, code: string])[] = [
  // Go on at the statement after the one that is being executed, on a fresh stack: mov rsp; jmp r15.
  ['resume', '48bc{stack}41ffe7'],
  // Go back to where the guest was: pop rcx; pop r11; the frame of iret; with and without an error code.
  ['return', '59415b6a0051415350b8170000000f05'],
  ['back', '59415b4883c4086a0051415350b8170000000f05'],
]

export type Assembled = {
  readonly code: Uint8Array
  /** Addresses of labels, of the program's and the stubs. */
  readonly labels: ReadonlyMap<string, bigint>
}

/**
 * Behind the last statement the guest waits for events, thirty times at most, and shuts down:
 *
 *     mov $30, %r12d; lea 0(%rip), %r15; 1: dec %r12d; jz 2f; block(); jmp 1b; 2: shut down; jmp .
 */
const END =
  '41bc1e000000 4c8d3d00000000 41ffcc740e b81d000000bf010000000f05ebed b806000000bf0200000031f60f05 ebfe'.replaceAll(
    ' ',
    '',
  )

/** lea r15, [rip + distance]: where `resume` goes on. */
const MARK_BYTES = 7

/**
 * Machine code for the statements, from an address on. Before each of them r15 is pointed at the next.
 *
 * @param names values of names but labels
 */
export function assemble(program: Program, at: bigint, names: Names): Assembled {
  const starts: bigint[] = []
  let next = at
  for (const statement of program.statements) {
    starts.push(next)
    next += BigInt(MARK_BYTES + sizeOf(statement))
  }
  starts.push(next)
  const labels = new Map<string, bigint>()
  let stub = next + BigInt(END.length / 2)
  for (const [label, code] of STUBS) {
    labels.set(label, stub)
    stub += BigInt(code.replace('{stack}', '0'.repeat(16)).length / 2)
  }
  for (const [label, n] of program.labels) labels.set(label, starts[n])
  const all: Names = (name) => (name.startsWith('@') ? labels.get(name.slice(1)) : names(name))
  const parts: Uint8Array[] = []
  for (const statement of program.statements) {
    const bytes = encode(statement, (text) => sumOf(text, all))
    const mark = Buffer.alloc(MARK_BYTES)
    mark.set([0x4c, 0x8d, 0x3d])
    mark.writeInt32LE(bytes.length, 3)
    parts.push(mark, bytes)
  }
  parts.push(Buffer.from(END, 'hex'))
  const stack = Buffer.alloc(8)
  stack.writeBigUInt64LE(names('stacktop') ?? 0n)
  for (const [, code] of STUBS) parts.push(Buffer.from(code.replace('{stack}', stack.toString('hex')), 'hex'))
  return { code: Buffer.concat(parts), labels }
}
