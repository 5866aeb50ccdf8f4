import { BadInput } from '../../bits/bad-input.ts'
import { traceLine } from '../../trace/export.ts'
import { validateEvent, validateHeader } from '../../trace/validate.ts'
import { E820 } from '../../xen/abi.ts'
import type { BootOptions } from '../boot/boot.ts'
import { checkMap, type MemoryMap } from '../maps/maps.ts'
import { parseRecording, type Recording } from '../script/script.ts'
import { type GuestRun, type RunSpec, rerun, type ScriptRun, StopRun } from './rerun.ts'

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

/** What a trace's header says was run. Throws BadInput. */
export function specOfTrace(header: string, file: string): RunSpec {
  const { run } = validateHeader(header, file)
  if ('boot' in run && typeof run.boot === 'object' && run.boot !== null) {
    return { boot: checkedOptions(run.boot as Record<string, unknown>, file) }
  }
  if ('script' in run && typeof run.script === 'object' && run.script !== null) {
    return { script: checkedScript(run.script as Record<string, unknown>, file) }
  }
  throw new BadInput(`${file}:1: the header names neither a boot nor a script`)
}

const isWhole = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isText = (value: unknown): boolean => typeof value === 'string'
const isListOf = (value: unknown, each: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(each)

/** What each option of a boot may be in a header, which anybody may have written. */
const OPTIONS: Readonly<Record<keyof BootOptions, (value: unknown) => boolean>> = {
  linux: isText,
  with: (value) => isListOf(value, isText),
  without: (value) => isListOf(value, isText),
  xen: isText,
  holes: isText,
  map: (value) => isText(value) || isMap(value),
  firmwareMap: (value) => typeof value === 'boolean',
  domain: (value) => value === 'dom0' || value === 'domU',
  memory: isWhole,
  vEnd: isWhole,
  kernelSize: isWhole,
  initrdSize: isWhole,
  append: isText,
  mfn: (value) => isListOf(value, (pair) => isListOf(pair, isWhole) && (pair as unknown[]).length === 2),
}

function isMap(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { name, kind, entries } = value as Partial<Record<keyof MemoryMap, unknown>>
  const isEntry = (entry: unknown): boolean => {
    if (typeof entry !== 'object' || entry === null) return false
    const { start, end, type } = entry as Record<string, unknown>
    return isWhole(start) && isWhole(end) && typeof type === 'string' && type in E820
  }
  return isText(name) && (kind === 'host' || kind === 'guest') && isListOf(entries, isEntry)
}

function checkedScript(script: Record<string, unknown>, file: string): ScriptRun {
  const { text, xen, holes, domain, frames } = script
  if (typeof text !== 'string') throw new BadInput(`${file}:1: the header has no text of a script`)
  if (xen !== undefined && typeof xen !== 'string')
    throw new BadInput(`${file}:1: the header's "xen" is no profile`)
  if (holes !== undefined && typeof holes !== 'string')
    throw new BadInput(`${file}:1: the header's "holes" is no list of advisories`)
  if (domain !== undefined && domain !== 'dom0' && domain !== 'domU') {
    throw new BadInput(`${file}:1: the header's "domain" is neither dom0 nor domU`)
  }
  return {
    text,
    ...(xen === undefined ? {} : { xen }),
    ...(holes === undefined ? {} : { holes }),
    ...(domain === undefined ? {} : { domain }),
    ...(frames === undefined ? {} : { frames: checkedRecording(frames, file) }),
  }
}

/** A recording inside a header: checked as one in a file is. */
function checkedRecording(frames: unknown, file: string): Recording {
  const { header, lines } = frames as Partial<Recording>
  return parseRecording(
    [header, ...(Array.isArray(lines) ? lines : [])].map((l) => JSON.stringify(l)).join('\n'),
    file,
  )
}

function checkedOptions(options: Record<string, unknown>, file: string): BootOptions {
  for (const [name, value] of Object.entries(options)) {
    const fits = Object.hasOwn(OPTIONS, name) ? OPTIONS[name as keyof BootOptions] : undefined
    if (fits === undefined) throw new BadInput(`${file}:1: a boot has no option "${name}"`)
    if (!fits(value)) throw new BadInput(`${file}:1: the header's "${name}" is not what a boot takes`)
  }
  const checked = options as BootOptions
  if (typeof checked.map === 'object') checkMap(checked.map)
  return checked
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
  lines.forEach((line, i) => {
    if (i > 0) validateEvent(line, file, i + 1)
  })
  let difference: ReplayResult['difference'] = null
  const { events } = rerun(spec, {
    event: (n, event) => {
      const ours = traceLine(event)
      const theirs = lines[n] ?? null
      if (ours === theirs) return
      difference = { event: n, trace: theirs, run: ours }
      throw new StopRun()
    },
  })
  if (difference === null && events < lines.length - 1) {
    difference = { event: events + 1, trace: lines[events + 1], run: null }
  }
  return {
    schema: 1,
    events: difference === null ? events : (difference as { event: number }).event - 1,
    difference,
  }
}
