import * as v from 'valibot'
import { BadInput } from '../../bits/bad-input.ts'
import { checked, listOf, text, whole } from '../../files/checked.ts'
import { MEMORY_MODELS } from '../../linux/generation.ts'
import { traceLine } from '../../trace/export.ts'
import { validateEvent, validateHeader } from '../../trace/validate.ts'
import type { BootOptions } from '../boot/boot.ts'
import { MapForm } from '../maps/map-form.ts'
import { checkMap } from '../maps/maps.ts'
import { checkRecording } from '../script/recording.ts'
import { type GuestRun, type RunSpec, rerun, StopRun } from './rerun.ts'

/** What became of a trace that was run again. */
export type ReplayResult = {
  readonly schema: 1
  /** Events that were equal, up to the first difference. */
  readonly events: number
  /** The first event that differs: its number, what the trace has and what the run did; null where one of them ended. */
  readonly difference: {
    readonly event: number
    readonly trace: string | null
    readonly run: string | null
  } | null
}

const Words = text(2 ** 16)
const Commits = listOf(text(40), 1000)
const Bytes = whole(0, 2 ** 52)

/** The options of a boot in a header, which anybody may have written. */
const BootForm = v.strictObject({
  linux: v.exactOptional(Words),
  with: v.exactOptional(Commits),
  without: v.exactOptional(Commits),
  xen: v.exactOptional(Words),
  holes: v.exactOptional(Words),
  map: v.exactOptional(v.union([Words, MapForm])),
  firmwareMap: v.exactOptional(v.boolean()),
  domain: v.exactOptional(v.picklist(['dom0', 'domU'])),
  memoryModel: v.exactOptional(v.picklist(MEMORY_MODELS)),
  memory: v.exactOptional(whole(0, 2 ** 40)),
  maxMemory: v.exactOptional(whole(0, 2 ** 40)),
  hasMap: v.exactOptional(v.boolean()),
  vEnd: v.exactOptional(Bytes),
  kernelSize: v.exactOptional(Bytes),
  initrdSize: v.exactOptional(Bytes),
  append: v.exactOptional(Words),
  mfn: v.exactOptional(
    listOf(v.pipe(v.tuple([whole(0, 2 ** 40), whole(0, 2 ** 40)]), v.readonly()), 2 ** 16),
  ),
}) satisfies v.GenericSchema<unknown, BootOptions>

const ScriptForm = v.strictObject({
  text: v.string(),
  xen: v.exactOptional(Words),
  holes: v.exactOptional(Words),
  domain: v.exactOptional(v.picklist(['dom0', 'domU'])),
  frames: v.exactOptional(v.unknown()),
})

/** What a trace's header says was run. Throws BadInput. */
export function specOfTrace(header: string, file: string): RunSpec {
  const { run } = validateHeader(header, file)
  const what = `${file}:1: the header's`
  if ('boot' in run) {
    const boot: BootOptions = checked({ value: run.boot, schema: BootForm, what: `${what} boot` })
    if (typeof boot.map === 'object') checkMap(boot.map)
    return { boot }
  }
  if ('script' in run) {
    const { frames, ...script } = checked({ value: run.script, schema: ScriptForm, what: `${what} script` })
    if (frames === undefined) return { script }
    return { script: { ...script, frames: checkRecording(frames, `${what} recording`) } }
  }
  throw new BadInput(`${file}:1: the header names neither a boot nor a script`)
}

/**
 * Run a trace again and compare event by event. A run is the same every time, so a difference means another version of
 * the rules, or a file that was changed.
 *
 * @param lines of the trace file, header first
 * @param guest the run, of a trace of a real kernel: its header names files
 * @throws BadInput for what is no trace
 */
export function replay(lines: readonly string[], file: string, guest: GuestRun | null = null): ReplayResult {
  if (lines.length === 0) throw new BadInput(`${file}: the trace is empty`)
  const spec = guest === null ? specOfTrace(lines[0], file) : { guest }
  let difference: ReplayResult['difference'] = null
  const { events } = rerun(spec, {
    event: (n, event) => {
      const ours = traceLine(event)
      const theirs = lines[n] ?? null
      if (ours === theirs) return
      // A line that is no event is the file's fault, and no difference. Those that are equal are events.
      if (theirs !== null) validateEvent(theirs, file, n + 1)
      difference = { event: n, trace: theirs, run: ours }
      throw new StopRun()
    },
  })
  if (difference === null && events < lines.length - 1) {
    validateEvent(lines[events + 1], file, events + 2)
    difference = { event: events + 1, trace: lines[events + 1], run: null }
  }
  return {
    schema: 1,
    events: difference === null ? events : (difference as { event: number }).event - 1,
    difference,
  }
}
