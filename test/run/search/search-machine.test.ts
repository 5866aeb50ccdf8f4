import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomStream } from '../../../src/explore/search/random.ts'
import { defaultMoves, type Moves, parseMoves } from '../../../src/run/search/moves.ts'
import { SearchMachine } from '../../../src/run/search/search-machine.ts'
import { StateKey } from '../../../src/run/search/state-key.ts'

const PAGE_WORDS = 1024
const SPECS = [
  { xen: '4.17', domain: 'dom0', holes: 'none' },
  { xen: '4.17', domain: 'domU', holes: '182,286' },
  { xen: 'seed', domain: 'dom0' },
] as const

const movesFor = (domain: 'dom0' | 'domU'): Moves =>
  parseMoves(defaultMoves(3, domain === 'domU'), 'the usual moves')

/**
 * Pages of memory that are no part of a state, by number: where the probe has the arguments of its hypercalls and its stack,
 * and the page that Xen shares with it.
 */
function scratchPages({ xen }: SearchMachine): Set<number> {
  const domain = xen.domainOf(xen.guestVcpu)
  const frames = [0x109, 0x10f, 0x110].map((pfn) => xen.m2p.find(pfn, domain.owner))
  return new Set([...frames, domain.sharedInfo].map((mfn) => xen.memory.frameWords(mfn) / PAGE_WORDS))
}

function memoryOf({ xen: { memory } }: SearchMachine): Uint32Array {
  return memory.u32.slice(0, memory.used / 4)
}

for (const spec of SPECS) {
  test(`a state is all that moves change, and going back undoes it: ${spec.xen} in a ${spec.domain}`, () => {
    const moves = movesFor(spec.domain)
    const machine = new SearchMachine(spec, moves)
    const scratch = scratchPages(machine)
    const random = randomStream(20261126, 1)
    const state = new Int32Array(machine.size)
    const again = new Int32Array(machine.size)
    let changed = 0
    for (let round = 0; round < 60; round++) {
      machine.reset()
      for (let i = random(12); i > 0; i--) machine.move(moves.lines[random(moves.lines.length)])
      machine.save(state)
      const before = memoryOf(machine)
      for (let i = 1 + random(12); i > 0; i--) machine.move(moves.lines[random(moves.lines.length)])
      machine.save(again)
      if (!same(state, again)) changed++
      machine.restore(state)
      machine.save(again)
      assert.deepEqual(again, state)
      const after = memoryOf(machine)
      assert.equal(after.length, before.length)
      for (let at = 0; at < after.length; at++) {
        if (after[at] === before[at] || scratch.has(Math.floor(at / PAGE_WORDS))) continue
        assert.fail(`round ${round}: word ${at} of memory is no part of the state, and it changed`)
      }
    }
    assert.ok(changed > 40, `only ${changed} rounds changed anything`)
  })
}

test('a state goes on as it did, from a machine that has been elsewhere', () => {
  const moves = movesFor('dom0')
  const machine = new SearchMachine(SPECS[0], moves)
  const random = randomStream(7, 2)
  const state = new Int32Array(machine.size)
  const [first, second] = [new Int32Array(machine.size), new Int32Array(machine.size)]
  for (let round = 0; round < 200; round++) {
    const pick = (n: number) => Array.from({ length: n }, () => moves.lines[random(moves.lines.length)])
    machine.reset()
    // The guest may come to its end, and then nothing goes on.
    if (!pick(random(10)).every((line) => machine.move(line))) continue
    machine.save(state)
    const onward = pick(6)
    const lives = onward.every((line) => machine.move(line))
    machine.save(first)
    for (const line of pick(5)) machine.move(line)
    machine.restore(state)
    assert.equal(
      onward.every((line) => machine.move(line)),
      lives,
    )
    machine.save(second)
    if (lives) assert.deepEqual(second, first, onward.map(({ text }) => text).join('; '))
  }
})

test('one key for states that differ in names only, and for no others', () => {
  const moves = parseMoves(
    [
      'page A B C',
      ...['A', 'B', 'C'].flatMap((p) => [
        `ro ${p}`,
        `pin1 ${p}`,
        `pin2 ${p}`,
        `ubaseptr ${p}`,
        `set ${p}[0] = 0`,
        ...['A', 'B', 'C'].map((q) => `mmu ${p}[0] = ${q}|P|US`),
        `uvm W0 = ${p}|P`,
        `gdt 512 ${p}`,
      ]),
      'setldt W0 1',
      'ldsel 7',
    ].join('\n'),
    'test',
  )
  assert.deepEqual(moves.classes, [['A', 'B', 'C']])
  const machine = new SearchMachine({ xen: '4.17', domain: 'dom0' }, moves)
  const key = new StateKey(machine, moves)
  const state = new Int32Array(machine.size)
  const texts = moves.lines.map(({ text }) => text)
  const stateOf = (sequence: readonly number[]): string => {
    machine.reset()
    for (const move of sequence) machine.move(moves.lines[move])
    machine.save(state)
    key.of(state)
    return state.join()
  }
  /** The same sequence with the pages' names changed. */
  const renamed = (sequence: readonly number[], names: string): number[] =>
    sequence.map((move) =>
      texts.indexOf(
        texts[move].replace(/(?<![\w|])[ABC]\b|(?<== )[ABC]/g, (name) => names['ABC'.indexOf(name)]),
      ),
    )
  const random = randomStream(99, 3)
  const byKey = new Map<string, string>()
  const byState = new Map<string, string>()
  for (let round = 0; round < 1500; round++) {
    const sequence = Array.from({ length: 1 + random(9) }, () => random(texts.length))
    const orbit = ['ABC', 'ACB', 'BAC', 'BCA', 'CAB', 'CBA'].map((names) => {
      const name = stateOf(renamed(sequence, names))
      return { name, key: `${key.hi} ${key.lo}` }
    })
    const what = sequence.map((move) => texts[move]).join('; ')
    for (const other of orbit) assert.equal(other.key, orbit[0].key, what)
    // The least of the orbit stands for all of it.
    const name = orbit.map((other) => other.name).sort()[0]
    assert.equal(byKey.get(orbit[0].key) ?? name, name, `${what}: two different states have one key`)
    assert.equal(byState.get(name) ?? orbit[0].key, orbit[0].key, `${what}: one state has two keys`)
    byKey.set(orbit[0].key, name)
    byState.set(name, orbit[0].key)
  }
  assert.ok(byKey.size > 300, `${byKey.size} states`)
})

test('what a search looks at finds what a look at everything finds', () => {
  for (const [spec, isSafe] of [
    [SPECS[0], true],
    [{ ...SPECS[1], holes: '148,182,240' }, false],
    [SPECS[2], false],
  ] as const) {
    const moves = movesFor(spec.domain)
    const machine = new SearchMachine(spec, moves)
    const random = randomStream(5, 4)
    let broken = 0
    for (let round = 0; round < 250; round++) {
      machine.reset()
      for (let i = 0; i < 12 && machine.move(moves.lines[random(moves.lines.length)]); i++) {
        const [here] = [machine.broken().map(({ property }) => property)]
        const everywhere = machine.broken('everywhere').map(({ property }) => property)
        // A mapping that takes in more than the moves are about, as a root that maps itself does, is found in part.
        assert.equal(here.length > 0, everywhere.length > 0)
        if (here.length > 0) broken++
      }
    }
    assert.equal(broken === 0, isSafe, `${spec.xen} in a ${spec.domain}: ${broken}`)
  }
})

test('moves that a search cannot use are refused where they stand', () => {
  const refused = (text: string, why: RegExp) => assert.throws(() => parseMoves(text, 'moves.txt'), why)
  refused('page A\nro B', /^BadInput: moves\.txt:2: .*B/)
  refused('page A\ndecr A', /moves\.txt:2: 'decr' is no move/)
  refused('ro KL4\npage A', /moves\.txt:2: pages come before the first move/)
  refused('page A B C D E F\nro A', /at most 5/)
  refused('page A\ninfo A', /no move in it/)
  assert.deepEqual(parseMoves('page A B\nro A\nro B\nro  A', 'm').lines.length, 3)
  assert.deepEqual(parseMoves('page A B\nro A\nro B\npin1 B', 'm').classes, [['A'], ['B']])
  assert.deepEqual(parseMoves('page A B\nmmu A[0]=B|P\nmmu B[0] = A|P', 'm').classes, [['A', 'B']])
  assert.deepEqual(parseMoves('page A B\nmmu KL2[500] = A|P|PSE\nmmu KL2[500] = B|P|PSE', 'm').classes, [
    ['A'],
    ['B'],
  ])
})

function same(a: Int32Array, b: Int32Array): boolean {
  return a.every((n, i) => n === b[i])
}
