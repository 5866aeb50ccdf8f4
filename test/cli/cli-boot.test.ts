import assert from 'node:assert/strict'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type BootFlags, runModel } from '../../src/cli/verbs/boot/boot-model.ts'
import type { BootOptions, BootResult } from '../../src/run/boot/boot.ts'
import { BadInput } from '../../src/run/boot/boot-options.ts'
import type { Sink } from '../../src/run/trace.ts'
import type { TraceEvent } from '../../src/trace/events.ts'
import { listeningIo } from '../tools/listening-io.ts'

const said = (text: string): TraceEvent => ({ kind: 'console', source: 'guest', text })

/** What the verb does with a boot, whatever a boot is: the machine here is a stand-in that refuses. */
const refusal = {
  schema: 1,
  linux: 'B',
  xen: 'seed',
  outcome: 'refused',
  console: ['about to get started...', '(XEN) mm.c:3027:d0 Error while pinning mfn b1d89'],
} as BootResult

function bootWith(flags: BootFlags, colour = false, events: TraceEvent[] = []) {
  const { io, out, err } = listeningIo(colour)
  let options: BootOptions | undefined
  const machine = (given: BootOptions = {}, sink?: Sink) => {
    options = given
    for (const event of events) sink?.(event)
    return refusal
  }
  const status = runModel(flags, io, machine, () => ['mfn b1d89 is held by an L1.'])
  return { status, out, err, options }
}

const folder = mkdtempSync(join(tmpdir(), 'xenolith-'))
after(() => rmSync(folder, { recursive: true }))

test('the console comes first, then the account', () => {
  const { status, out, err, options } = bootWith({ memory: '3G' })
  assert.equal(status, 0)
  assert.deepEqual(out, [...refusal.console, 'mfn b1d89 is held by an L1.'])
  assert.deepEqual(err, [])
  assert.deepEqual(options, { memory: 786432 })
})

test("colour marks Xen's lines and takes no word away", () => {
  const [guest, xen] = bootWith({}, true).out
  assert.equal(guest, refusal.console[0])
  assert.equal(xen, `\u001b[33m${refusal.console[1]}\u001b[39m`)
})

test('--json is one document of two-space indent', () => {
  const { out } = bootWith({ json: true }, true)
  assert.deepEqual(JSON.parse(out.join('\n')), refusal)
  assert.match(out[0], /^\{\n {2}"schema": 1,\n/)
})

test('--expect decides the exit status', () => {
  assert.equal(bootWith({ expect: 'refused' }).status, 0)
  const { status, err } = bootWith({ expect: 'booted' })
  assert.equal(status, 1)
  assert.deepEqual(err, ['xenolith: expected booted, but the outcome was refused'])
})

test('--trace writes one event a line and leaves nothing half done', () => {
  const file = join(folder, 'trace.jsonl')
  const events = Array.from({ length: 5000 }, (_, i) => said(`line ${i}`))
  bootWith({ trace: file }, false, events)
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [{ kind: 'header', schema: 1, run: { boot: {} } }, ...events],
  )
  assert.deepEqual(readdirSync(folder), ['trace.jsonl'])

  const link = join(folder, 'link')
  symlinkSync(file, link)
  bootWith({ trace: link }, false, [said('new')])
  assert.equal(readFileSync(file, 'utf8').split('\n')[1], JSON.stringify(said('new')))

  const { io } = listeningIo()
  const failing = (_options?: BootOptions, sink?: Sink): BootResult => {
    sink?.(said('half'))
    throw new BadInput('the guest is too large')
  }
  assert.throws(() => runModel({ trace: file }, io, failing), BadInput)
  assert.equal(readFileSync(file, 'utf8').split('\n')[1], JSON.stringify(said('new')))
  assert.deepEqual(readdirSync(folder).sort(), ['link', 'trace.jsonl'])
})

test('--trace to a device writes to it and leaves it a device', () => {
  bootWith({ trace: '/dev/null' }, false, [said('fill')])
  assert.ok(!existsSync('/dev/null.partial'))
  assert.equal(readFileSync('/dev/null', 'utf8'), '')
})

test('a folder that cannot be written is refused before the boot', () => {
  const { io } = listeningIo()
  const never = (): BootResult => assert.fail('booted')
  assert.throws(
    () => runModel({ trace: join(folder, 'none', 'trace.jsonl') }, io, never),
    /no such file or folder/,
  )
  writeFileSync(join(folder, 'plain'), '')
  assert.throws(() => runModel({ trace: join(folder, 'plain', 'trace') }, io, never), /not a folder/)
})
