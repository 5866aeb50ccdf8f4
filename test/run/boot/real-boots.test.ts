import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boot } from '../../../src/run/boot/boot.ts'
import type { E820Entry, E820Type } from '../../../src/xen/abi.ts'
import { buffers, releaseLines } from '../../tools/boot-tools.ts'
import { recorded } from '../../tools/recordings.ts'

/** What the console of a real kernel on real Xen says. */
type RealBoot = {
  name: string
  generation: string
  xen: string
  nrPages: string
  vEnd: string
  append: string
  machine: E820Entry[]
  refused: { saw: string; exp: string; pfn: string } | null
  /** The lines about where tables go and about the tail, in their order. */
  lines: string[]
  /** What Xen printed of the refusal, from its first line on, as far as the recording has it. */
  xenLines: string[]
}

/** The version of a recording's Xen. */
function versionOf(xen: string): string {
  if (xen.startsWith('4.17')) return '4.17'
  assert.match(xen, /^4\.1\.0/)
  return '4.1'
}

/** A line without the machine frame, which depends on where Xen put the domain. */
function withoutMfn(line: string): string {
  return line.replace(/\bmfn [0-9a-f]+/, 'mfn')
}

function check(real: RealBoot): void {
  const { name, generation, append } = real
  const result = boot({
    linux: generation,
    xen: versionOf(real.xen),
    map: { name, kind: 'host', partial: false, source: 'a real boot', entries: real.machine },
    memory: Number(real.nrPages),
    vEnd: Number(real.vEnd),
    append,
  })
  const outcome = real.refused !== null ? 'refused' : generation === 'C0' ? 'fault' : 'booted'
  assert.equal(result.outcome, outcome, name)
  assert.equal(result.linux, generation, name)
  // In their order: which line comes first is what tells C from D.
  const told = result.console.filter((line) => /direct mapping tables|setting RW/.test(line))
  assert.deepEqual(told, real.lines, name)
  if (generation === 'B0') {
    // What is refused there is one of the image's own tables, and its address is the image's.
    assert.equal(result.via, 'ptwr', name)
  } else if (real.refused !== null) {
    const { saw, exp, pfn } = result
    assert.deepEqual({ saw, exp, pfn }, { ...real.refused, pfn: `0x${real.refused.pfn}` }, name)
    assert.equal(result.via, 'pin', name)
    const { xenLines } = real
    const printed = result.console.filter((line) => line.startsWith('(XEN) ')).slice(0, xenLines.length)
    assert.deepEqual(printed.map(withoutMfn), xenLines.map(withoutMfn), name)
  } else if (generation === 'C0') {
    assert.equal(result.via, 'page-fault', name)
  }
}

type Raw = {
  name: string
  generation: string
  xen: string
  nr_pages: string
  v_end: string
  memmap_option: string | null
  machine_e820: { start: string; end: string; type: E820Type }[]
  refused: { saw: string; exp: string; mfn: string; pfn: string } | null
  lines: string[]
  xen_lines: string[]
}

const { boots } = JSON.parse(recorded('real-boots/boots.json')) as { boots: Raw[] }

test('72 boots are recorded, 14 of them refused', () => {
  assert.equal(boots.length, 72)
  assert.equal(boots.filter((raw) => raw.refused !== null).length, 14)
})

for (const raw of boots) {
  test(`a real boot: ${raw.name} on Xen ${raw.xen}`, () =>
    check({
      name: raw.name,
      generation: raw.generation,
      xen: raw.xen,
      nrPages: raw.nr_pages,
      vEnd: raw.v_end,
      append: raw.memmap_option === null ? '' : `memmap=${raw.memmap_option}`,
      machine: raw.machine_e820.map((e) => ({ ...e, start: Number(e.start), end: Number(e.end) })),
      refused: raw.refused && { saw: raw.refused.saw, exp: raw.refused.exp, pfn: raw.refused.pfn },
      lines: raw.lines.filter((line) => /direct mapping tables|setting RW/.test(line)),
      xenLines: raw.xen_lines,
    }))
}

test("the seed's frame, as real kernels met it: 0xbacf7 on both versions of Xen, and its cures", () => {
  const seedlike = boots.filter((one) => one.name.includes('seedlike-bacf7'))
  assert.deepEqual(
    seedlike.map((one) => [one.generation, one.xen.slice(0, 4), one.refused?.pfn ?? 'booted']),
    [
      ['low', '4.17', 'booted'],
      ['B', '4.17', 'bacf7'],
      ['C', '4.17', 'booted'],
      ['D', '4.17', 'booted'],
      ['low', '4.1.', 'booted'],
      ['B', '4.1.', 'bacf7'],
      ['C', '4.1.', 'booted'],
      ['D', '4.1.', 'booted'],
    ],
  )
})

test('the shipped scenario seedlike-bacf7 is that boot', () => {
  const result = boot({ map: 'seedlike-bacf7' })
  assert.equal(result.outcome, 'refused')
  assert.equal(result.call, 1)
  assert.equal(result.pfn, '0xbacf7')
  assert.equal(result.saw, '7400000000000001')
  assert.deepEqual(buffers(result), ['0xba730..0xbacf8..0xbad10'])
  const newer = boot({ map: 'seedlike-bacf7', xen: '4.17' })
  assert.equal(newer.pfn, '0xbacf7')
  assert.equal(newer.saw, 'e400000000000001')
  assert.equal(newer.exp, '2000000000000000')
  const cured = boot({ map: 'seedlike-bacf7', linux: 'C' })
  assert.deepEqual(releaseLines(cured), [
    'xen: setting RW the range bacfc000 - bad10000',
    'xen: setting RW the range b9f2b000 - ba730000',
  ])
})
