import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BootOptions, boot } from '../../src/run/boot/boot.ts'
import type { TraceEvent } from '../../src/run/trace.ts'
import { ending, releaseLines } from '../tools/boot-tools.ts'

type State = { s: number; e: number; t: number; lastRw: number }
type Call = { site: string; branch: string; times: number; before: State; after: State }

/** What a boot did that matters here, in its order; equal calls of the function in a row are one. */
type Step = { what: 'call'; call: Call } | { what: string; args: Record<string, unknown> }

function watch(options: BootOptions) {
  const steps: Step[] = []
  const result = boot(options, (event: TraceEvent) => {
    if (event.kind !== 'linux') return
    const { what, args } = event
    if (what === 'mark_rw_past_pgt') {
      steps.push({ what: 'call', call: { ...(args as unknown as Call), times: 1 } })
    } else if (what === 'mark_rw_past_pgt_repeated') {
      const last = steps.findLast((step): step is { what: 'call'; call: Call } => step.what === 'call')
      if (last !== undefined) last.call.times += args.times as number
    } else if (['find_early_table_space', 'pagetable_reserve', 'node_data'].includes(what)) {
      steps.push({ what, args })
    }
  })
  const calls = steps.flatMap((step) => ('call' in step ? [step.call as Call] : []))
  return { result, steps, calls }
}

/** The steps, short; a run of `not-reserved-yet` is one word. */
function story(steps: Step[]): string[] {
  const words = steps.map((step) => {
    if (!('call' in step)) return step.what
    const call = step.call as Call
    return call.site === 'mask_rw_pte' ? call.branch : `${call.branch} at the end`
  })
  return words.filter((word, i) => word !== 'not-reserved-yet' || words[i - 1] !== word)
}

const state = (s: number, e: number, t: number, lastRw: number): State => ({ s, e, t, lastRw })

test('on the machine of the seed: every branch, in the order of the boot', () => {
  const { result, steps, calls } = watch({ linux: 'C' })
  assert.equal(ending(result), 'booted')
  assert.deepEqual(story(steps), [
    // Before there is a buffer, start, end and top are 0. The slot of the L3 is the last call of that run.
    'nothing-allocated',
    'find_early_table_space',
    'first-call',
    'not-reserved-yet',
    'pagetable_reserve',
    'find_early_table_space',
    // The new buffer is known and empty: the L3 is mapped through its slot, and the old tail has to wait.
    'nothing-allocated',
    'release',
    // Of the second buffer: its own pages are free, until the call reserves them.
    'not-reserved-yet',
    'pagetable_reserve',
    // The first slot that ACPI maps.
    'release',
    'node_data',
    'already-released at the end',
  ])
  const only = (branch: string): Call[] => calls.filter((call) => call.branch === branch)
  assert.deepEqual(
    only('first-call').map(({ before, after, times }) => ({ before, after, times })),
    [{ before: state(0, 0, 0, 0), after: state(0xba7a4, 0xba7a5, 0xbad80, 0), times: 1 }],
  )
  const releases = only('release')
  assert.deepEqual(
    releases.map(({ site, before, after }) => ({ site, before, after })),
    [
      {
        site: 'mask_rw_pte',
        before: state(0xba7a4, 0xbacf8, 0xbad80, 0),
        after: state(0x1ab75c, 0x1ab75d, 0x1acb65, 0xbacf8),
      },
      {
        site: 'mask_rw_pte',
        before: state(0x1ab75c, 0x1ac360, 0x1acb65, 0xbacf8),
        after: state(0x1ab75c, 0x1ac360, 0x1acb65, 0x1ac360),
      },
    ],
  )
  // While the first buffer is built, each new page moves `e`, and nothing else changes.
  const first = calls.slice(0, calls.indexOf(releases[0]))
  const ends = first.filter((call) => call.branch === 'not-reserved-yet').map((call) => call.after.e)
  assert.deepEqual([...new Set(ends)].length, 0xbacf8 - 0xba7a4)
  assert.equal(ends.at(-1), 0xbacf8)
  for (const call of first) assert.equal(call.after.lastRw, 0)
})

test('nothing is released while end is start: a call in between changes nothing', () => {
  const { calls } = watch({ linux: 'C' })
  const waiting = calls.filter((call) => call.branch === 'nothing-allocated')
  assert.equal(waiting.length, 2)
  assert.deepEqual(waiting[0].before, state(0, 0, 0, 0))
  assert.deepEqual(waiting[1].before, state(0xba7a4, 0xbacf8, 0xbad80, 0))
  for (const call of waiting) assert.deepEqual(call.after, call.before)
  // One entry only: the slot of the L3. The next entry written is the slot of the first new table.
  assert.equal(waiting[1].times, 1)
})

test("the boot's own account has the same calls", () => {
  const { calls, result } = watch({ linux: 'C', map: 'seedlike-bacf7' })
  const hex = ({ s, e, t, lastRw }: State) => ({
    s: `0x${s.toString(16)}`,
    e: `0x${e.toString(16)}`,
    t: `0x${t.toString(16)}`,
    lastRw: `0x${lastRw.toString(16)}`,
  })
  assert.deepEqual(
    result.marks,
    calls.map(({ site, branch, times, before, after }) => ({
      site,
      branch,
      times,
      before: hex(before),
      after: hex(after),
    })),
  )
})

test('a domU without memory above 4 GiB: the second tail comes back after NODE_DATA, at the very end', () => {
  const { result, steps, calls } = watch({
    linux: 'C',
    domain: 'domU',
    hasMap: false,
    memory: 0x40000,
    vEnd: 60 << 20,
  })
  assert.equal(ending(result), 'booted')
  assert.deepEqual(story(steps), [
    'find_early_table_space',
    // Here it is the slot of the L3, with the buffer known and empty.
    'nothing-allocated',
    'first-call',
    'not-reserved-yet',
    'pagetable_reserve',
    'find_early_table_space',
    'nothing-allocated',
    'release',
    'not-reserved-yet',
    'pagetable_reserve',
    'node_data',
    'release at the end',
  ])
  assert.deepEqual(calls.at(-1)?.before, state(0x3f5f4, 0x3f5f9, 0x3fdfe, 0x3ffdc))
  // What NODE_DATA got was of the first tail, [0x3ffdc, 0x40000), and that was writable again.
  assert.deepEqual(result.nodeData, { base: '0x3fffb000', end: '0x40000000' })
})

test('a domU with memory above 4 GiB: NODE_DATA is in the second tail and comes first', () => {
  const { result, steps } = watch({ linux: 'C', map: 'ec2-domu-7680m' })
  assert.equal(ending(result), 'fault 0x1dfffb')
  assert.deepEqual(story(steps).slice(-4), ['release', 'not-reserved-yet', 'pagetable_reserve', 'node_data'])
  assert.deepEqual(releaseLines(result), ['xen: setting RW the range fffdc000 - 100000000'])
})

test('a dom0 without ACPI is as badly off as a domU', () => {
  const { result, steps } = watch({ linux: 'C', append: 'acpi=off' })
  assert.equal(ending(result), 'fault 0x1acb60')
  assert.deepEqual(story(steps).slice(-3), ['not-reserved-yet', 'pagetable_reserve', 'node_data'])
  assert.deepEqual(releaseLines(result), ['xen: setting RW the range bacf8000 - bad80000'])
})

test('one call of init_memory_mapping only: its tail waits for ACPI, or in a domU too long', () => {
  const append = 'mem=1024M'
  const { result, steps, calls } = watch({ linux: 'C', domain: 'domU', memory: 0x40000, append })
  // NODE_DATA is written before that, in the tail.
  assert.equal(ending(result), 'fault 0x3fffb')
  assert.deepEqual(story(steps), [
    'find_early_table_space',
    'nothing-allocated',
    'first-call',
    'not-reserved-yet',
    'pagetable_reserve',
    'node_data',
  ])
  assert.equal(calls.at(-1)?.after.lastRw, 0)
  const dom0 = watch({ linux: 'C', append: 'mem=2048M' })
  assert.equal(ending(dom0.result), 'booted')
  assert.deepEqual(story(dom0.steps).slice(-4), [
    'pagetable_reserve',
    'release',
    'node_data',
    'already-released at the end',
  ])
})

test('memtest writes the first tail before anybody gives it back', () => {
  const { result } = watch({ linux: 'C', append: 'memtest=1' })
  assert.equal(result.outcome, 'fault')
  assert.equal(result.pfn, '0xbacf8')
  assert.equal(ending(boot({ linux: 'D', map: 'seedlike-bacf7', append: 'memtest=1' })), 'booted')
})

test('without its partner the function never gets to release anything: the boot is refused before', () => {
  const { result, calls } = watch({ linux: 'B+seed' })
  assert.equal(result.outcome, 'refused')
  const branches = [...new Set(calls.map((call) => call.branch))]
  assert.deepEqual(branches, ['nothing-allocated', 'first-call', 'not-reserved-yet'])
})

test('no other generation calls it', () => {
  for (const linux of ['A', 'B', 'C0', 'D']) {
    const { result, calls } = watch({ linux, domain: 'domU', memory: 0x20000 })
    assert.deepEqual(calls, [])
    assert.deepEqual(result.marks, [])
  }
})
