import assert from 'node:assert/strict'
import { test } from 'node:test'
import { earlyTablePages, earlyTablePagesOf } from '../../../src/linux/tables/early-tables.ts'
import { boot } from '../../../src/run/boot/boot.ts'
import type { TraceEvent } from '../../../src/run/trace.ts'
import { buffers, ending, releaseLines, tableLines } from '../../tools/boot-tools.ts'

/** The EC2 instance of 7.5 GB on which the workaround failed. */
const ec2 = { map: 'ec2-domu-7680m', memory: 0x1e0000, vEnd: 0x3c00000 } as const
/** The same by what its log says: a RAMDISK at 203b000-2c3a000, right behind the image. v_end follows. */
const ec2Sizes = {
  map: 'ec2-domu-7680m',
  memory: 0x1e0000,
  kernelSize: 0x103b000,
  initrdSize: 0xbff000,
} as const

test('pages for the tables of a call: the sum of three levels, whatever the start of the call', () => {
  assert.equal(earlyTablePages(0x100000000), 2053)
  assert.equal(1 + 4 + 2048, 2053)
  assert.equal(earlyTablePages(0x1e0800000), 3853)
  assert.equal(1 + 8 + 3844, 3853)
  assert.equal(earlyTablePages(0xbb000000), 1500)
  // A KVM guest of 66 GB with 4 KiB pages: c7e3e000-d0000000, of which 31165 were used and 2053 were not.
  assert.equal(earlyTablePages(0x1030000000), 33218)
  assert.equal(0xd0000 - 0xc7e3e, 33218)
  assert.equal(31165 + 2053, 33218)
  // Since 844ab6f993b1 the start counts.
  assert.equal(earlyTablePagesOf(0x100000000, 0x1e0800000), 1801)
  assert.equal(1 + 4 + 1796, 1801)
})

test('EC2, the workaround: each line and the fault, to the digit', () => {
  const faults: { va: number; error: number }[] = []
  const result = boot({ ...ec2Sizes, linux: 'C' }, (event: TraceEvent) => {
    if (event.kind === 'fault') faults.push({ va: event.va, error: event.error })
  })
  assert.equal(result.machine.vEnd, '0x3c00000')
  assert.ok(result.console.includes('RAMDISK: 0203b000 - 02c3a000'))
  assert.deepEqual(tableLines(result), [
    'kernel direct mapping tables up to 100000000 @ ff7fb000-100000000',
    'kernel direct mapping tables up to 1e0800000 @ 1df0f3000-1e0000000',
  ])
  assert.equal(0x100000 - 0xff7fb, 2053)
  assert.equal(0x1e0000 - 0x1df0f3, 3853)
  assert.deepEqual(buffers(result), ['0xff7fb..0xfffdc..0x100000', '0x1df0f3..0x1df7fb..0x1e0000'])
  // The first tail is K + 2 = 36 pages; of the second buffer 1800 pages are used.
  assert.equal(0x100000 - 0xfffdc, 36)
  assert.equal(0x1df7fb - 0x1df0f3, 1800)
  assert.deepEqual(releaseLines(result), ['xen: setting RW the range fffdc000 - 100000000'])
  assert.ok(result.console.includes('initial memory mapped : 0 - 02c3a000'))
  assert.ok(result.console.includes('init_memory_mapping: 0000000000000000-0000000100000000'))
  assert.ok(result.console.includes('init_memory_mapping: 0000000100000000-00000001e0800000'))
  assert.ok(result.console.includes('  NODE_DATA [00000001dfffb000 - 00000001dfffffff]'))
  assert.equal(result.outcome, 'fault')
  assert.equal(result.via, 'page-fault')
  assert.equal(result.call, null)
  assert.equal(result.pfn, '0x1dfffb')
  // Present, and a write: the page is mapped and read-only. The address is that of the log's RDI.
  assert.equal(faults.length, 1)
  assert.equal(faults[0].error & 3, 3)
  assert.equal(faults[0].va % 2 ** 40, 0x8801dfffb000 % 2 ** 40)
  // It never comes to xen_post_allocator_init, where the tail would have come back.
  assert.equal(
    result.marks.some((mark) => mark.site === 'xen_post_allocator_init'),
    false,
  )
})

test("EC2: the fault's error code is 3, as Xen hides the user bit from a guest's kernel", () => {
  let error = -1
  boot({ ...ec2, linux: 'C0' }, (event: TraceEvent) => {
    if (event.kind === 'fault') error = event.error
  })
  assert.equal(error, 3)
})

test('EC2 without a map from the toolstack is the same: the kernel makes that map itself', () => {
  const { map: _, ...rest } = ec2
  const own = boot({ ...rest, domain: 'domU', hasMap: false, linux: 'C' })
  const given = boot({ ...ec2, linux: 'C' })
  assert.deepEqual(buffers(own), buffers(given))
  assert.equal(ending(own), ending(given))
})

test('EC2, the successor: both tails come back, and NODE_DATA is written', () => {
  const result = boot({ ...ec2, linux: 'D' })
  assert.equal(ending(result), 'booted')
  assert.deepEqual(releaseLines(result), [
    'xen: setting RW the range fffdc000 - 100000000',
    'xen: setting RW the range 1df7fb000 - 1e0000000',
  ])
  assert.deepEqual(result.nodeData, { base: '0x1dfffb000', end: '0x1e0000000' })
})

test('EC2 with 3.2: tables low, and sized by their range once 844ab6f993b1 is in', () => {
  const options = { ...ec2, vEnd: 0x4000000 }
  const ubuntu = boot({ ...options, linux: '3.2', with: ['844ab6f993b1'] })
  assert.equal(ending(ubuntu), 'booted')
  assert.deepEqual(releaseLines(ubuntu), [
    'xen: setting RW the range fda000 - 1000000',
    'xen: setting RW the range fffff000 - 100000000',
  ])
  // 3.7 has the commit by itself. Without it the second tail is the usual 2053 pages.
  assert.deepEqual(releaseLines(boot({ ...options, linux: '3.7' })), releaseLines(ubuntu))
  assert.deepEqual(releaseLines(boot({ ...options, linux: '3.2' })), [
    'xen: setting RW the range fda000 - 1000000',
    'xen: setting RW the range ff7fb000 - 100000000',
  ])
})

test('every state of the commits, on the class of the seed and on a domU above 4 GiB', () => {
  const seed = { map: 'msi-h61m-p23-8g', memory: 0x1acb65, vEnd: 0x10400000 } as const
  const states: [options: object, dom0: string, large: string][] = [
    // 4b239f458c22 only: refused at the first table that is mapped through a slot.
    [{ linux: 'B0' }, 'ptwr 0x11c6 in call 1', 'ptwr 0x11c6 in call 1'],
    // With d8aa5ec3382e, 14988a4d350c and the rest.
    [{ linux: 'B0', with: ['d8aa5ec3382e'] }, 'pin 0xbacf7 in call 1', 'pin 0x1df7f3 in call 2'],
    // And the seed alone: the mask is unchanged.
    [{ linux: 'B', with: ['a38647837a41'] }, 'pin 0xbacf7 in call 1', 'pin 0x1df7f3 in call 2'],
    // b9269dc7bfdf alone: the tail stays read-only.
    [{ linux: 'B', with: ['b9269dc7bfdf'] }, 'fault 0x1acb60', 'fault 0x1dfffb'],
    // Both.
    [{ linux: 'B', with: ['b9269dc7bfdf', 'a38647837a41'] }, 'booted', 'fault 0x1dfffb'],
    // The mask and the hook.
    [{ linux: 'B', with: ['b9269dc7bfdf', '279b706bf800'] }, 'booted', 'booted'],
  ]
  for (const [options, dom0, large] of states) {
    assert.equal(ending(boot({ ...seed, ...options })), dom0, JSON.stringify(options))
    assert.equal(ending(boot({ ...ec2, ...options })), large, JSON.stringify(options))
  }
})
