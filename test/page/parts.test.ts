import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { explainText } from '../../src/explain/explain.ts'
import { Film, FRAME_CLASSES } from '../../src/run/film/film.ts'
import { makeFilm } from '../../src/run/film/make-film.ts'
import { optionsOfCommand } from '../../web/src/command.ts'
import { LINK_VERSION, linkOf, type PageState, START, stateOf, upgraded } from '../../web/src/link.ts'
import { meaningsOf, wordsOf } from '../../web/src/log-words.ts'
import { cellOf, layoutOf, placeAtPoint, topFor, zoomLevels } from '../../web/src/map/layout.ts'
import { cellShades, countShades, lookRuns } from '../../web/src/map/paint.ts'
import { SHADE_DIFFERENT, SHADE_NONE, shadeOf, shadePixels } from '../../web/src/map/shades.ts'

/** What of the page needs no browser. */
const SETTINGS = { seed: 20110429, numRuns: 200 }

const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
const states: fc.Arbitrary<PageState> = fc.record({
  view: fc.constantFrom('boot', 'compare', 'explain'),
  machine: fc.record(
    {
      linux: word,
      xen: word,
      memory: word,
      append: word,
      domu: fc.constant(true),
      with: fc.array(fc.stringMatching(/^[0-9a-f]{7}$/), { minLength: 1, maxLength: 3 }),
      map: fc.oneof(
        word,
        fc.record(
          {
            name: fc.stringMatching(/^[a-z.-]{1,12}$/),
            kind: fc.constantFrom('host' as const, 'guest' as const),
            entries: fc.array(
              fc.record({
                start: fc.integer({ min: 0, max: 2 ** 40 }),
                end: fc.integer({ min: 2 ** 40, max: 2 ** 41 }),
                type: fc.constantFrom('usable', 'reserved', 'ACPI data', 'ACPI NVS', 'unusable'),
              }),
              { minLength: 1, maxLength: 5 },
            ),
            partial: fc.constant(false),
            source: fc.constant('a link'),
            nrPages: fc.integer({ min: 1, max: 2 ** 30 }),
          },
          { requiredKeys: ['name', 'kind', 'entries', 'partial', 'source'] },
        ),
      ),
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
  beside: fc.constant('C'),
  event: fc.option(fc.integer({ min: 0, max: 1e9 })),
  mfn: fc.option(fc.integer({ min: 0, max: 2 ** 39 })),
  zoom: fc.integer({ min: 0, max: 40 }),
  order: fc.constantFrom('pfn', 'mfn'),
  top: fc.option(fc.integer({ min: 0, max: 2 ** 30 })),
  table: fc.boolean(),
  theme: fc.constantFrom('auto', 'light', 'dark'),
  log: fc.constant(''),
}) as unknown as fc.Arbitrary<PageState>

test('a state goes into a link and comes back', () => {
  fc.assert(
    fc.property(states, (state) => {
      const { state: read, problem } = stateOf(`#${linkOf(state)}`)
      assert.equal(problem, null)
      assert.deepEqual(read, JSON.parse(JSON.stringify(state)))
    }),
    SETTINGS,
  )
  assert.deepEqual(stateOf('').state, START)
  // A long log stays out of the address.
  const long = linkOf({ ...START, view: 'explain', log: 'x'.repeat(10_000) })
  assert.ok(long.length < 100)
})

test('any fragment is read, and none throws', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
      const { state } = stateOf(`#${text}`)
      assert.ok(['boot', 'compare', 'explain'].includes(state.view))
    }),
    SETTINGS,
  )
})

test('a link of an older version goes through every step up to the present one', () => {
  const steps: number[] = []
  const step = (from: number) => (link: URLSearchParams) => {
    steps.push(from)
    link.set('event', String(Number(link.get('event')) + 1))
    return link
  }
  const link = upgraded(new URLSearchParams('v=3&event=7'), 3, { 3: step(3), 4: step(4) }, 5)
  assert.deepEqual(steps, [3, 4])
  assert.equal(link.get('event'), '9')
  assert.equal(upgraded(link, LINK_VERSION), link)
})

test("a link of version 1 to a domU without a map still has none of its toolstack's", () => {
  const machineOf = (fragment: string) => stateOf(fragment).state.machine
  assert.deepEqual(machineOf('#v=1&domu=1&memory=128M'), { domu: true, memory: '128M', noE820: true })
  assert.deepEqual(machineOf('#v=1&domu=1&map=ec2-domu-7680m'), { domu: true, map: 'ec2-domu-7680m' })
  assert.deepEqual(machineOf('#v=1&linux=C'), { linux: 'C' })
  assert.deepEqual(machineOf('#v=2&domu=1&memory=128M'), { domu: true, memory: '128M' })
})

test('a map shows all of a machine at once, and each frame in its own cell at the end', () => {
  const sizes = fc.record({
    frames: fc.integer({ min: 1, max: 2 ** 26 }),
    width: fc.integer({ min: 200, max: 3000 }),
    height: fc.integer({ min: 200, max: 2000 }),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    zoom: fc.integer({ min: 0, max: 40 }),
  })
  fc.assert(
    fc.property(sizes, ({ frames, width, height, at, zoom }) => {
      const whole = layoutOf(frames, width, height, 0, 12345)
      assert.equal(whole.top, 0)
      assert.ok(whole.columns * whole.rows * whole.perCell >= frames)
      const levels = zoomLevels(frames, width, height)
      const last = layoutOf(frames, width, height, levels - 1, 0)
      assert.equal(last.perCell, 1)
      assert.equal(last.size, 32)
      assert.deepEqual(layoutOf(frames, width, height, levels + 5, 0), last)
      // A frame that is put in the middle is there, and its cell is found at its point.
      const place = Math.min(frames - 1, Math.floor(at * frames))
      const plain = layoutOf(frames, width, height, zoom, 0)
      const layout = layoutOf(frames, width, height, zoom, topFor(place, 0.5, plain))
      const { column, row } = cellOf(layout, place)
      assert.ok(row >= 0 && row < layout.rows && column >= 0 && column < layout.columns)
      const found = placeAtPoint(layout, frames, (column + 0.5) * layout.size, (row + 0.5) * layout.size)
      assert.ok(found <= place && place < found + layout.perCell)
    }),
    SETTINGS,
  )
  const inner = (zoom: number) => layoutOf(2 ** 21, 900, 500, zoom, 0)
  for (let zoom = 1; zoom < zoomLevels(2 ** 21, 900, 500); zoom++) {
    assert.ok(inner(zoom).columns * inner(zoom).perCell < inner(zoom - 1).columns * inner(zoom - 1).perCell)
  }
})

test('kinds of frames are told apart without colours', () => {
  for (const scheme of ['light', 'dark'] as const) {
    const pixels = shadePixels(scheme)
    const tile = (shade: number) => [...pixels.subarray(shade * 64, shade * 64 + 64)]
    const shape = (one: number[]) => one.map((pixel) => Number(pixel !== one[63])).join('')
    const light = (pixel: number): number => {
      const part = (shift: number) => {
        const value = ((pixel >>> shift) & 0xff) / 255
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
      }
      return 0.2126 * part(0) + 0.7152 * part(8) + 0.0722 * part(16)
    }
    const mean = (one: number[]) => one.reduce((sum, pixel) => sum + light(pixel), 0) / 64
    const kinds = [
      ...FRAME_CLASSES.map(({ name }) => ({ name, tile: tile(shadeOf(name)) })),
      { name: 'pinned L1', tile: tile(shadeOf('L1', true)) },
      { name: 'differs', tile: tile(SHADE_DIFFERENT) },
    ]
    for (const [i, a] of kinds.entries()) {
      for (const b of kinds.slice(i + 1)) {
        const [low, high] = [mean(a.tile), mean(b.tile)].sort((x, y) => x - y)
        const contrast = (high + 0.05) / (low + 0.05)
        assert.ok(
          shape(a.tile) !== shape(b.tile) || contrast > 1.3,
          `${scheme}: ${a.name}, ${b.name} ${contrast}`,
        )
      }
    }
  }
})

test('cells show the scarcest kind; runs of the table are all frames, once', () => {
  const film = new Film(makeFilm({ linux: 'D', domain: 'domU', memory: 2 ** 15 }))
  film.seek(film.events)
  const order = film.order('pfn')
  const layout = layoutOf(film.frames, 400, 300, 0, 0)
  const shades = cellShades(layout, film.looks, null, order.frames)
  const counts = countShades(film.looks)
  assert.equal(
    counts.reduce((sum, n) => sum + n, 0),
    film.frames,
  )
  const l4 = shadeOf('L4', true)
  assert.equal(counts[l4], 1)
  assert.equal(shades.filter((shade) => shade === l4).length, 1)
  assert.ok(shades.includes(SHADE_NONE))
  const other = film.looks.slice()
  other[order.frameAt(77)] ^= 16
  const differs = cellShades(layout, film.looks, other, order.frames)
  assert.deepEqual(
    [...differs.keys()].filter((cell) => differs[cell] === SHADE_DIFFERENT),
    [Math.floor(77 / layout.perCell)],
  )
  for (const by of ['pfn', 'mfn'] as const) {
    const one = film.order(by)
    const runs = lookRuns(film, one, 0, 1e6)
    assert.equal(
      runs.reduce((sum, run) => sum + run.count, 0),
      film.frames,
    )
    for (const { frame, place, count, look } of runs) {
      assert.equal(one.frameAt(place), frame)
      assert.equal(film.mfnOf(one.frameAt(place + count - 1)), film.mfnOf(frame) + count - 1)
      assert.ok(film.looks.subarray(frame, frame + count).every((found) => found === look))
    }
  }
})

test('the options of a command are those that the command line reads', () => {
  const command =
    "xenolith boot --map LOG --linux 2.6.39-rc5 --xen seed --dom0 --firmware-map --memory 0xbb800p --v-end 0x1c00000 --append 'memmap=4M$0xb0 it'\\''s'"
  assert.deepEqual(optionsOfCommand(command), {
    linux: '2.6.39-rc5',
    xen: 'seed',
    dom0: true,
    firmwareMap: true,
    memory: '0xbb800p',
    vEnd: '0x1c00000',
    append: "memmap=4M$0xb0 it's",
  })
  assert.deepEqual(optionsOfCommand('xenolith boot --map LOG --domu --kernel-size 0x1a00000'), {
    domu: true,
    kernelSize: '0x1a00000',
  })
})

test('words of a log are marked where they stand for themselves', () => {
  const line =
    '(XEN) mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn b1d89 (pfn bacf7)'
  const pieces = wordsOf(line, 1, meaningsOf(explainText(line).decoded))
  assert.equal(pieces.map(({ text }) => text).join(''), line)
  const marked = pieces.filter(({ meaning }) => meaning !== null)
  assert.deepEqual(
    marked.map(({ text }) => text),
    ['7400000000000001', '1000000000000000'],
  )
  assert.match(marked[0].meaning ?? '', /^type writable, validated, count 1$/)
  // A word inside another is not meant; one behind 0x is.
  const meanings = new Map([[1, [{ word: 'ab1', says: 'it' }]]])
  assert.deepEqual(
    wordsOf('cab1 ab12 0xab1 AB1', 1, meanings).filter(({ meaning }) => meaning !== null),
    [
      { text: 'ab1', meaning: 'it' },
      { text: 'AB1', meaning: 'it' },
    ],
  )
})
