import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadInput } from '../../../src/bits/bad-input.ts'
import { REF_COUNT, TYPE_COUNT, TYPE_PINNED, TYPE_SHIFT } from '../../../src/machine/frames.ts'
import { rerun, StopRun } from '../../../src/run/ask/rerun.ts'
import { why } from '../../../src/run/ask/why.ts'
import { type BootOptions, boot } from '../../../src/run/boot/boot.ts'
import { type BootPlan, planBoot } from '../../../src/run/boot/boot-plan.ts'
import { runBoot } from '../../../src/run/boot/boot-run.ts'
import { machineBytes } from '../../../src/run/boot/reserve.ts'
import { FilmPair } from '../../../src/run/film/compare-films.ts'
import { CLASS_OF_LOOK, Film, FRAME_CLASSES, lookWords } from '../../../src/run/film/film.ts'
import { makeFilm } from '../../../src/run/film/make-film.ts'
import { shippedMaps } from '../../../src/run/maps/maps.ts'
import { eventAt } from '../../../src/trace/event-log.ts'
import { traceLine } from '../../../src/trace/export.ts'
import { Random } from '../../tools/random.ts'
import { sampled } from '../../tools/sample.ts'

const GIB = 2 ** 18
const BOOTS: readonly BootOptions[] = [
  {},
  { linux: 'C' },
  { linux: 'B+seed' },
  { linux: 'A', map: 'seedlike-bacf7' },
  { linux: 'D', domain: 'domU', memory: GIB * 5, xen: '4.17' },
  { linux: 'D2', memory: GIB },
  { linux: 'E', map: 'msi-h61m-p23-8g', memory: GIB },
]

for (const options of sampled(BOOTS, 3)) {
  test(`a film of ${JSON.stringify(options)} is what happened`, () => {
    const film = new Film(makeFilm(options))
    const lines: string[] = []
    boot(options, (event) => lines.push(traceLine(event)))
    assert.equal(film.events, lines.length)
    const wrong = lines.findIndex((line, i) => traceLine(eventAt(film.data.events, i + 1)) !== line)
    assert.equal(wrong, -1, `event ${wrong + 1}`)
    assert.equal(film.data.late, 0, 'an event changes frames that the camera did not look at')

    // The same machine, run again and stopped: every frame of it has the look that the film has.
    const random = new Random(7)
    for (let round = 0; round < 4; round++) {
      const wanted = random.between(0, film.events)
      const { xen, events } = rerun(
        { boot: options },
        {
          event: (n, { kind }) => {
            if (n >= wanted && (kind === 'hypercall' || kind === 'ptwr')) throw new StopRun()
          },
        },
      )
      film.seek(events)
      let index = 0
      for (const { start, end } of film.data.ranges) {
        for (let mfn = start; mfn < end; mfn++, index++) {
          const record = xen.memory.record(mfn)
          const [type, refs, owner] = xen.memory.u32.subarray(record, record + 3)
          const look =
            (type >>> TYPE_SHIFT) |
            (type & TYPE_PINNED ? 8 : 0) |
            (type & TYPE_COUNT ? 16 : 0) |
            ((refs & REF_COUNT) - (refs >>> 31) > 0 ? 32 : 0) |
            (Math.min(owner & 0xff, 3) << 6)
          if (film.looks[index] !== look)
            assert.fail(`event ${events}, mfn ${mfn.toString(16)}: ${film.looks[index]}, not ${look}`)
        }
      }
    }
  })
}

test('a film runs both ways, and from any keyframe', () => {
  const film = new Film(makeFilm({ linux: 'C' }))
  assert.ok(film.data.keyframes.length > 1)
  const random = new Random(3)
  const straight = new Film(film.data)
  for (let event = 0; event <= film.events; event += 997) {
    straight.seek(event)
    film.seek(random.between(0, film.events))
    film.seek(event)
    assert.equal(Buffer.compare(film.looks, straight.looks), 0, `event ${event}`)
  }
  film.seek(-5)
  assert.equal(film.at, 0)
  assert.equal(Buffer.compare(film.looks, film.data.keyframes[0].looks), 0)
  film.seek(1e9)
  assert.equal(film.at, film.events)
})

test("the seed's film stops where Xen refuses, and knows the page", () => {
  const film = new Film(makeFilm({}))
  const { refused, saw, frame } = why({ boot: {} })
  const { refusal } = film.data
  assert.equal(refusal?.event, refused.event)
  assert.equal(film.data.stop, refused.event)
  assert.equal(refusal?.saw, saw)
  assert.equal(`0x${refusal?.mfn.toString(16)}`, frame.mfn)
  film.seek(refusal!.event)
  const index = film.indexOf(refusal!.mfn)
  assert.equal(lookWords(film.looks[index]).class, 'writable')
  assert.equal(film.mfnOf(index), 0xb1d89)
  assert.equal(film.pfnOf(0xb1d89), 0xbacf7)
  assert.equal(film.mfnOfPfn(0xbacf7), 0xb1d89)
  assert.equal(film.indexOf(0xfffffff), -1)
  const { start, end, top } = film.buffer()!
  assert.deepEqual([start, end, top], [0xba7a4, 0xbacf8, 0xbad80])
  assert.equal(
    film.linesShown(),
    boot({}).console.findIndex((line) => line.includes('Error while pinning')) + 1,
  )
})

test("a fault's film stops at the fault, and a boot's at its end", () => {
  const faulted = new Film(makeFilm({ linux: 'C0' }))
  assert.equal(faulted.data.outcome, 'fault')
  assert.equal(faulted.kind(faulted.data.stop), 'fault')
  faulted.seek(faulted.data.stop)
  const index = faulted.indexOf(faulted.mfnOfPfn(faulted.data.pfn))
  assert.equal(lookWords(faulted.looks[index]).class, 'read-only')
  const booted = makeFilm({ linux: 'D', domain: 'domU', memory: 2 ** 15 })
  assert.equal(booted.stop, booted.events.length)
})

test('steps go by hypercall, by entry and by region, both ways', () => {
  const film = new Film(makeFilm({}))
  film.seek(film.data.refusal!.event)
  const at = film.at
  for (const step of ['event', 'hypercall', 'entry', 'region'] as const) {
    film.seek(film.next(step, -1))
    assert.ok(film.at < at)
    if (step === 'hypercall') assert.equal(film.kind(film.at), 'hypercall')
    if (step === 'region') assert.match(film.describe(film.at), /fill_region/)
    film.seek(at)
  }
  film.seek(0)
  assert.equal(film.next('event', -1), 0)
  assert.equal(film.next('region', -1), 0)
  film.seek(film.events)
  for (const step of ['event', 'hypercall', 'entry', 'region'] as const)
    assert.equal(film.next(step, 1), film.events)
  film.seek(0)
  assert.equal(film.next('region', 1), film.data.landmarks.find(({ key }) => key.startsWith('fill'))?.event)
})

test('B beside C part where the tail of the buffer is mapped: it is writable in B and read-only in C', () => {
  const [b, c] = [new Film(makeFilm({ linux: 'B' })), new Film(makeFilm({ linux: 'C' }))]
  const pair = new FilmPair(b, c)
  const { event, beside, frames } = pair.first!
  for (const moment of [event - 1, event]) {
    b.seek(moment)
    c.seek(pair.beside(moment))
    assert.equal(pair.differing(), moment < event ? 0 : frames.length)
  }
  assert.equal(pair.beside(event), beside)
  assert.match(b.describe(event), /PIN_L1_TABLE mfn aadf6/)
  assert.equal(b.describe(event), c.describe(beside))
  const { end, top } = b.buffer()!
  const pfns = frames.map((index) => b.pfnOf(b.mfnOf(index))).sort((x, y) => x - y)
  assert.deepEqual(
    pfns,
    Array.from({ length: top - end }, (_, i) => end + i),
  )
  for (const index of frames) {
    assert.equal(FRAME_CLASSES[CLASS_OF_LOOK[b.looks[index]]].name, 'writable')
    assert.equal(lookWords(c.looks[index]).class, 'read-only')
  }
  // Behind that the films keep step by region.
  const region = b.data.landmarks.findLast(({ key }) => key.startsWith('fill_region'))!
  const theirs = c.data.landmarks.find(({ key }) => key === region.key)
  assert.equal(pair.beside(region.event), theirs?.event)
  assert.equal(pair.beside(b.events), c.events)
})

test('what a kernel only says of itself makes no difference', () => {
  const [b, marked] = [new Film(makeFilm({ linux: 'B' })), new Film(makeFilm({ linux: 'B+seed' }))]
  assert.ok(marked.events > b.events)
  const pair = new FilmPair(b, marked)
  assert.equal(pair.first, null)
  const { event } = b.data.refusal!
  assert.equal(pair.beside(event), marked.data.refusal?.event)
  assert.equal(pair.beside(0), 0)
})

test('a film of a machine that is too large, or of none, is one line', () => {
  assert.throws(() => makeFilm({ map: 'nowhere' }), BadInput)
  const entries = [{ start: 0, end: 2 ** 41, type: 'usable' as const }]
  const map = { name: 'huge', kind: 'host' as const, entries, partial: false, source: 'test' }
  assert.throws(() => makeFilm({ map, memory: GIB }), /more than 1 TiB of RAM/)
})

test('what a machine reserves is what its boot needs', () => {
  for (const { name } of shippedMaps().filter((_, i) => i % 5 === 0)) {
    for (const linux of ['B', 'E']) {
      let plan: BootPlan
      try {
        plan = planBoot({ linux, map: name, memory: GIB })
      } catch {
        continue
      }
      const { used } = runBoot(plan).xen.memory
      const bytes = machineBytes(plan)
      assert.ok(used <= bytes, `${name} ${linux}: ${used} of ${bytes}`)
    }
  }
  const seed = machineBytes(planBoot({}))
  assert.ok(seed < 160 * 2 ** 20, `${seed} bytes for a boot that touches 65 MiB`)
  const tested = machineBytes(planBoot({ domain: 'domU', memory: GIB, append: 'memtest=1' }))
  assert.ok(tested > GIB * 4096)
})
