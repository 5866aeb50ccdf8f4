import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BootResult, boot } from '../../../src/run/boot/boot.ts'
import { shippedMaps } from '../../../src/run/maps/maps.ts'
import { buffers, ending } from '../../tools/boot-tools.ts'
import { sampled } from '../../tools/sample.ts'

type Row = {
  map: string
  memory?: number
  vEnd?: number
  /** The page that B refuses and the call, or `booted`. */
  B: string
  /** Where C0 faults, NODE_DATA's first page, or `booted`. */
  C0: string
  C?: string
}

/**
 * Each map as a domain of its host or as the guest it is; memory and v_end are those of its log where it has them, else
 * all RAM that a domain can have and 64 MiB. A and D boot them all.
 */
const rows: Row[] = [
  { map: 'msi-h61m-p23-8g', B: 'pin 0xbacc7 in call 1', C0: 'fault 0x1acb60' },
  { map: 'ecs-h61h2-m3-8g', B: 'pin 0xbad5a in call 1', C0: 'fault 0x1fa89d' },
  { map: 'asus-sabertooth-990fx-16g', B: 'pin 0xbaafd in call 1', C0: 'fault 0x3e699e' },
  { map: 'toshiba-tosqci-amd-8g', B: 'pin 0xdf6cf in call 1', C0: 'fault 0x1f17b5' },
  { map: 'dell-vostro-1700-2g', B: 'booted', C0: 'fault 0x766d9' },
  { map: 'gigabyte-rd890-16g-dom0-768m', B: 'booted', C0: 'fault 0x2fffb' },
  // The log's v_end, 32 MiB, is that of an older kernel at 2 MiB; the model's kernel and p2m list end later.
  { map: 'ami-core2-8g-2008', B: 'pin 0x1eef5d in call 2', C0: 'fault 0x1efae6' },
  { map: 'dell-latitude-e6420-16g', B: 'pin 0xca5fe in call 1', C0: 'booted' },
  { map: 'supermicro-x10-10g', B: 'pin 0x796b4 in call 1', C0: 'fault 0x1f994d' },
  { map: 'skylake-nuc-4g', B: 'booted', C0: 'fault 0x3fffb' },
  { map: 'ec2-domu-7680m', B: 'pin 0x1df7f3 in call 2', C0: 'fault 0x1dfffb', C: 'fault 0x1dfffb' },
  { map: 'domu-615m', B: 'booted', C0: 'fault 0x266fb' },
  { map: 'domu-1g-max2g', B: 'booted', C0: 'fault 0x3fffb' },
  { map: 'ec2-domu-1.7g', B: 'booted', C0: 'fault 0x6a39b' },
  { map: 'domu-2g-ubuntu-3.2', B: 'booted', C0: 'fault 0x7fffb' },
  { map: 'domu-ubuntu810-4g', B: 'booted', C0: 'fault 0xff798' },
  { map: 'opteron-32g-2008', B: 'pin 0x7ff27d in call 2', C0: 'fault 0x7ffd05' },
  { map: 'amd-8g-2009', B: 'pin 0x1ff478 in call 2', C0: 'fault 0x1ffef7' },
]

for (const { map, B, C0, C } of sampled(rows, 6)) {
  test(`${map}: A, B, C0, C and D`, () => {
    const run = (linux: string): BootResult => boot({ map, linux })
    assert.equal(ending(run('A')), 'booted', 'A')
    assert.equal(ending(run('B')), B, 'B')
    const c0 = run('C0')
    assert.equal(ending(c0), C0, 'C0')
    if (c0.outcome === 'fault') assert.equal(c0.nodeData?.base, `${c0.pfn}000`)
    assert.equal(ending(run('C')), C ?? 'booted', 'C')
    assert.equal(ending(run('D')), 'booted', 'D')
  })
}

test('what the maps come to: memory and v_end', () => {
  const machine = (map: string): string[] => {
    const { nrPages, vEnd, domain } = boot({ map, linux: 'D' }).machine
    return [nrPages, vEnd, domain]
  }
  assert.deepEqual(machine('msi-h61m-p23-8g'), ['0x1acb65', '0x16400000', 'dom0'])
  assert.deepEqual(machine('ecs-h61h2-m3-8g'), ['0x1fa8a2', '0x4000000', 'dom0'])
  assert.deepEqual(machine('ami-core2-8g-2008'), ['0x1efaeb', '0x2400000', 'dom0'])
  assert.deepEqual(machine('ec2-domu-7680m'), ['0x1e0000', '0x3c00000', 'domU'])
})

/** A hole up to 1 TiB, or RAM as far up, puts the end of the second call there: more tables than 1 GiB holds. */
const holes = [
  'dom0-view-serveerstertje-2gb-2022',
  'threadripper-asus-wrx80e-448gb',
  'threadripper-qubes-64gb',
  'xen417-qemu-pvh-ci-2gb',
  'amd1thole',
]

test('every whole map that ships boots a domain of 1 GiB; a very high end leaves no room for its tables', () => {
  for (const { name, partial } of shippedMaps()) {
    if (partial) continue
    const result = boot({ map: name, linux: 'D', memory: 0x40000 })
    if (holes.includes(name)) {
      assert.equal(result.via, 'panic', name)
      assert.equal(
        result.console.at(-1),
        'Kernel panic - not syncing: Cannot find space for the kernel page tables',
        name,
      )
    } else assert.equal(ending(result), 'booted', name)
  }
})

test('with all the memory of the machine the hole up to 1 TiB is mapped', () => {
  const result = boot({ map: 'amd1thole', linux: 'D' })
  assert.equal(ending(result), 'booted')
  assert.deepEqual(buffers(result), ['0xbf9dc..0xbffcc..0xbffe0', '0x3f3d8..0x40de7..0xbf9dc'])
})
