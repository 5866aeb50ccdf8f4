import { Memory } from '../../src/machine/memory.ts'
import { buildKernelMachine, type DomUMachine } from '../../src/run/kernel/kernel-machine.ts'
import type { Random } from '../../test/tools/random.ts'
import { kernelOf, speaking } from '../../test/tools/tiny-kernel.ts'
import { checkCounts } from '../guest/machine.ts'
import { inputText, type Target, textInput } from '../target.ts'

/**
 * The toolstack's ends of a guest's rings, without a guest: the page is written to at will. A step a line:
 *
 *     put OFFSET HEX     bytes into the page
 *     set OFFSET NUMBER  32 bits
 *     ask TYPE TRANSACTION TEXT   a request of xenstore's behind those before it, its producer's index moved on
 *     kick               the other end is told
 *     type TEXT          somebody types
 */

const GROUP = 'rings'
const MEMORY_BYTES = 2 ** 26
const KERNEL = kernelOf(speaking('', 0))
let memory: Memory | null = null

function machine(output: (bytes: Uint8Array) => void): DomUMachine {
  memory ??= new Memory(MEMORY_BYTES)
  return buildKernelMachine(
    { kernel: { name: 'rings', bytes: KERNEL }, memory: 1100, name: 'rings' },
    output,
    () => {},
    memory,
  )
}

type Ring = { readonly mfn: number; readonly kick: () => void; readonly machine: DomUMachine }

function perform(ring: Ring, text: string): number {
  const { u8, u32 } = ring.machine.xen.memory
  let steps = 0
  for (const line of text.split('\n')) {
    const at = ring.machine.xen.memory.frameWords(ring.mfn)
    const [word, first = '', ...rest] = line.split(' ')
    const offset = Math.abs(Number.parseInt(first, 10) || 0) % 4096
    steps++
    if (word === 'put') {
      for (const [i, byte] of Buffer.from(rest.join(''), 'hex').entries())
        u8[at * 4 + ((offset + i) % 4096)] = byte
    } else if (word === 'set') u32[at + (offset >> 2)] = Number(rest[0] ?? 0) >>> 0
    else if (word === 'kick') ring.kick()
    else if (word === 'type') ring.machine.console.type(Buffer.from(line.slice(5), 'latin1'))
    else if (word === 'ask') ask(ring, at, Number.parseInt(first, 10) || 0, rest)
  }
  return steps
}

const STORE = { requests: 0, producer: 2052, bytes: 1024, replies: 2056 } as const

function ask(
  { machine }: Ring,
  at: number,
  type: number,
  [transaction = '0', ...words]: readonly string[],
): void {
  const { u8, u32 } = machine.xen.memory
  const text = words.join(' ').replaceAll('~', '\0')
  const head = Uint32Array.of(type, 1, Number(transaction) || 0, text.length)
  const bytes = Buffer.concat([new Uint8Array(head.buffer), Buffer.from(text, 'latin1')])
  let producer = u32[at + STORE.producer / 4]
  for (const byte of bytes) u8[at * 4 + (producer++ & (STORE.bytes - 1))] = byte
  u32[at + STORE.producer / 4] = producer
  // The guest takes its replies.
  u32[at + STORE.replies / 4] = u32[at + STORE.replies / 4 + 1]
}

const PATHS = [
  'name',
  'memory/target',
  'data',
  'data/x',
  'attr/x/y',
  'data/y/z',
  'a/b/c/d',
  '/',
  '/local/domain/1',
  '/local/domain/1/name',
  '/local/domain/0',
  '/local',
  '@releaseDomain',
  '@introduceDomain',
  'control/shutdown',
  '',
  '//',
  '/vm/0/x',
  'console/ring-ref',
  'store/port',
  'x'.repeat(300),
  'domid',
  '..',
  'a~b',
  '-1',
  '1',
  'device/vif/0',
  'name/',
  '\u00e9',
]

function storeLine(random: Random): string {
  switch (random.between(0, 9)) {
    case 0:
      // A guest whose indices cannot be is not listened to any more: mostly there is more to come.
      if (!random.once(12)) return 'kick'
      return `set ${random.pick([2048, 2052, 2056, 2060, 2064, random.between(0, 4096)])} ${random.pick([0, 1, 1024, 1025, 2048, 4294967295, 2147483648, random.bits()])}`
    case 1:
      return `put ${random.between(0, random.once(8) ? 2100 : 2048)} ${Buffer.from(Array.from({ length: random.between(1, 40) }, () => random.between(0, 256))).toString('hex')}`
    case 2:
      return `kick ${random.pick(['', '', 'x'])}`
    default: {
      const type = random.once(8)
        ? random.between(0, 30)
        : random.pick([1, 2, 3, 4, 4, 5, 6, 7, 10, 11, 11, 12, 13, 13, 14, 17, 21, 22])
      const second = random.pick([
        '',
        '~',
        '~token~',
        '~value',
        `~${'v'.repeat(random.pick([1, 900, 2049]))}`,
        '~n0~b1~',
        '~n1~r0~',
        'T~',
        'F~',
      ])
      const transaction = random.once(4) ? random.between(0, 4) : 0
      return `ask ${type} ${transaction} ${random.pick(PATHS)}${second}\nkick`
    }
  }
}

function consoleLine(random: Random): string {
  switch (random.between(0, 6)) {
    case 0:
      return `type ${random.pick(['x', 'hello', 'y'.repeat(1500), '\u0003'])}`
    case 1:
      return `put ${random.pick([0, 1024, random.between(0, 4096)])} ${Buffer.from(Array.from({ length: random.between(1, 60) }, () => random.between(0, 256))).toString('hex')}`
    case 2:
      return 'kick'
    default:
      return `set ${random.pick([3072, 3076, 3080, 3084, 3088])} ${random.pick([0, 1, 1024, 2048, 2049, 4294967295, 2147483648, random.bits(), random.between(0, 3000)])}\nkick`
  }
}

function made(random: Random, line: (random: Random) => string): Uint8Array {
  return textInput(Array.from({ length: random.pick([1, 4, 16, 64, 300]) }, () => line(random)).join('\n'))
}

function checked(ring: Ring, what: string): string {
  checkCounts(ring.machine)
  return what
}

const xenstore: Target = {
  name: 'xenstore',
  group: GROUP,
  about: "xenstore's end of its ring: requests, and indices that cannot be",
  cut: 'lines',
  seeds: () => [
    textInput('ask 2 0 name~\nkick\nask 11 0 data/a~1\nkick\nask 4 0 data~t~\nkick\nask 13 0 name~\nkick'),
  ],
  make: (random) => made(random, storeLine),
  run(input) {
    const m = machine(() => {})
    const ring = { machine: m, mfn: m.start.storeMfn, kick: () => m.xenstore.serve() }
    const steps = perform(ring, inputText(input))
    m.guest.run(200)
    const at = m.xen.memory.frameWords(ring.mfn)
    const indices = [...m.xen.memory.u32.subarray(at + 512, at + 516)]
    return checked(ring, `${steps} ${indices} ${JSON.stringify(m.xenstore.save()).length}`)
  },
}

const consoleRing: Target = {
  name: 'console',
  group: GROUP,
  about: "the console's end of its ring: output, input, and indices that cannot be",
  cut: 'lines',
  seeds: () => [textInput('put 1024 68656c6c6f0a\nset 3084 6\nkick\ntype hello\nkick')],
  make: (random) => made(random, consoleLine),
  run(input) {
    let bytes = 0
    const m = machine((some) => {
      bytes += some.length
    })
    const ring = { machine: m, mfn: m.start.consoleMfn, kick: () => m.console.serve() }
    const steps = perform(ring, inputText(input))
    m.guest.run(200)
    return checked(ring, `${steps} ${bytes}`)
  },
}

export const RINGS: readonly Target[] = [xenstore, consoleRing]
