import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SYMBOLS } from '../../src/linux/symbols.ts'
import { boot } from '../../src/run/boot/boot.ts'
import { ending } from '../tools/boot-tools.ts'

/**
 * Generation E on the board whose log of 2013 shows it (8 GiB, dom0 of 0x1acb65 pages): memory that is no RAM goes back,
 * as many pages come at the end, and the direct map grows from the top down in steps of 2 MiB, 64 MiB, 2 GiB.
 */
const rounds: [start: string, end: string][] = [
  ['0x00000000', '0x000fffff'],
  ['0x1f2000000', '0x1f20c3fff'],
  ['0x1f0000000', '0x1f1ffffff'],
  ['0x180000000', '0x1efffffff'],
  ['0x00100000', '0x1fffffff'],
  ['0x20200000', '0x3fffffff'],
  ['0x40200000', '0xbad7ffff'],
  ['0xbadf4000', '0xbadf5fff'],
  ['0xbae7f000', '0xbaffffff'],
  ['0x100000000', '0x17fffffff'],
  ['0x1f20c4000', '0x23fdfffff'],
]

test("the log's ranges, in its order", () => {
  const result = boot({ linux: 'E' })
  assert.equal(ending(result), 'booted')
  const lines = result.console.filter((line) => line.startsWith('init_memory_mapping:'))
  assert.deepEqual(
    lines,
    rounds.map(([start, end]) => `init_memory_mapping: [mem ${start}-${end}]`),
  )
  assert.ok(result.console.includes('Populating 1acb65-1f20c4 pfn range: 283999 pages added'))
  assert.ok(result.console.includes('Released 283999 pages of unused memory'))
  // There is no buffer, so no tail and nothing to give back.
  assert.deepEqual(result.buffers, [])
})

test('two pages of the brk serve the first round of RAM, three the next, and memblock the rest', () => {
  const brk = SYMBOLS.brk / 4096
  const perRound: { brk: number; memblock: number }[] = []
  boot({ linux: 'E' }, (event) => {
    if (event.kind === 'console' && event.text.startsWith('init_memory_mapping:')) {
      perRound.push({ brk: 0, memblock: 0 })
    }
    if (event.kind !== 'linux' || event.what !== 'alloc_low_page') return
    const pfn = event.args.pfn as number
    const round = perRound[perRound.length - 1]
    if (pfn >= brk && pfn < brk + 16) round.brk++
    else round.memblock++
  })
  assert.deepEqual(
    perRound.slice(0, 4).map((round) => round.brk),
    [0, 2, 3, 0],
  )
  // 32 MiB are sixteen L1s.
  assert.equal(perRound[2].memblock, 13)
  assert.ok(perRound[3].memblock > 0)
})

test('3.2 to 3.8: the first buffer lies below the kernel, and the hook gives both tails back', () => {
  const result = boot({ linux: 'D2' })
  assert.equal(ending(result), 'booted')
  assert.deepEqual(
    result.console.filter((line) => /direct mapping tables|setting RW/.test(line)),
    [
      'kernel direct mapping tables up to bb000000 @ a24000-1000000',
      'xen: setting RW the range f78000 - 1000000',
      'kernel direct mapping tables up to 27fbdc000 @ b9977000-bad80000',
      'xen: setting RW the range ba57b000 - bad80000',
    ],
  )
})

test('every generation that boots lets a memory test write to all that is free', () => {
  for (const linux of ['A', 'D', 'D2', 'E']) {
    assert.equal(ending(boot({ linux, map: 'seedlike-bacf7', append: 'memtest=1' })), 'booted', linux)
  }
  // Without a release the test itself is the first to write to the tail.
  for (const linux of ['C0', 'C']) {
    const result = boot({ linux, map: 'seedlike-bacf7', append: 'memtest=1' })
    assert.equal(result.outcome, 'fault', linux)
    assert.equal(result.call, 1, linux)
  }
})

test('where Xen has fewer frames than were given back, memory ends at the last that it gives', () => {
  // All the RAM of the machine but some frames: Xen needs a few itself, so that not all come again.
  const result = boot({
    linux: 'E',
    map: 'supermicro-x10-10g',
    domain: 'dom0',
    memory: 0x1f9952,
    vEnd: 96 << 20,
  })
  assert.equal(ending(result), 'booted')
  const [, added] = /^Populating 1f9952-\w+ pfn range: (\d+) pages added$/m.exec(result.console.join('\n'))!
  const [, released] = /^Released (\d+) pages/m.exec(result.console.join('\n'))!
  assert.ok(Number(added) < Number(released))
})
