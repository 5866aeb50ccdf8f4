import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { recordingOf } from '../../../oracle/recording.ts'
import { builtProbe } from '../../../oracle/tools.ts'
import type { CoreOptions } from '../../../src/cpu/cpu.ts'
import { compareLines, isOfDomU, scriptOf } from '../../../src/run/script/agree.ts'
import { bootProbe } from '../../../src/run/script/probe-boot.ts'
import { parseRecording, type Recording, runScript } from '../../../src/run/script/script.ts'
import { randomScript } from '../../../src/script/random-script.ts'
import { recordings } from '../../tools/recordings.ts'
import { howMany, sampled } from '../../tools/sample.ts'
import { needs } from '../../tools/tools.ts'

const noTools = needs('gcc') || needs('make')
const image = noTools === false ? readFileSync(builtProbe()) : new Uint8Array()
const BUDGET = 3e8

/** What of a script's run the real probe's code and the recording, or the model's probe, do not agree on. */
function differences(
  recording: Recording,
  core: CoreOptions,
): { compared: number; differ: readonly object[] } {
  const domain = isOfDomU(recording) ? 'domU' : 'dom0'
  const script = scriptOf(recording)
  const xen = recording.header.xen === 'release' ? '4.17-release' : '4.17'
  const run = bootProbe(image, script, { xen, domain, frames: recording, budget: BUDGET, core })
  if (run.end === 'budget') assert.fail('the probe does not come to an end')
  const end = run.end === 'shutdown' ? 'crash' : run.end
  const ours = recordingOf(script, { lines: run.lines, end, scriptMs: 0, totalMs: 0 }, domain)
  const { compared, differences } = compareLines(recording, ours.lines, end)
  return { compared, differ: differences.filter(({ exempt }) => exempt === null) }
}

/** Its code is compiled when it has been there a few times, or never. */
const CORES: readonly CoreOptions[] = [{ tier: 'interpreter' }, { tier: 'region', threshold: 8 }]

for (const core of CORES) {
  test(`the probe, executed, does what it did on real Xen (${core.tier})`, { skip: noTools }, () => {
    const files = sampled(recordings('oracle'), core.tier === 'region' ? 40 : 10)
    let compared = 0
    for (const { path, text } of files) {
      const whole = parseRecording(text, path)
      // What the probe of the recordings could not read, the one here ends with.
      const recording = { ...whole, lines: whole.lines.filter(({ err }) => err === undefined) }
      const result = differences(recording, core)
      assert.deepEqual(result.differ, [], path)
      compared += result.compared
    }
    assert.ok(compared > files.length * 150, `${compared} operations`)
  })
}

test('the probe, executed, does what its model does', { skip: noTools }, () => {
  let compared = 0
  const seeds = howMany({ all: 20, few: 8 })
  for (let seed = 1; seed <= seeds; seed++) {
    const text = randomScript(seed, { ops: 150 })
    const { header, lines } = runScript(text)
    const result = differences({ header: { ...header, xen: 'debug' }, lines }, CORES[seed % 2])
    assert.deepEqual(result.differ, [], `seed ${seed}`)
    compared += result.compared
  }
  assert.ok(compared > seeds * 50, `${compared} operations`)
})
