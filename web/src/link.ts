import type { MemoryMap } from '../../src/run/maps/maps.ts'
import type { MachineOptions } from './messages.ts'

/**
 * The page's state, as it stands in the fragment of its address: nothing of it is ever sent anywhere. `v` is the version of
 * the fragment. When a key changes its meaning the version becomes one more, and UPGRADES gets a step that turns an old
 * fragment into the next one: old links keep working.
 */
export const LINK_VERSION = 2

export type View = 'boot' | 'compare' | 'explain'
export type Theme = 'auto' | 'light' | 'dark'

export type PageState = {
  readonly view: View
  readonly machine: MachineOptions
  /** The generation beside the machine's own. */
  readonly beside: string
  /** Null: where the boot ended. */
  readonly event: number | null
  /** A frame of the machine; null: none is selected. */
  readonly mfn: number | null
  readonly zoom: number
  /** By which number frames are in order on the map. */
  readonly order: 'pfn' | 'mfn'
  /** Place of the first frame that the map shows; null: the selected frame in the middle. */
  readonly top: number | null
  readonly table: boolean
  readonly theme: Theme
  /** The log that is explained, when it is short enough for an address. */
  readonly log: string
}

export const START: PageState = {
  view: 'boot',
  machine: {},
  beside: 'C',
  event: null,
  mfn: null,
  zoom: 0,
  order: 'pfn',
  top: null,
  table: false,
  theme: 'auto',
  log: '',
}

/** Longer logs stay out of the address. */
const LONGEST_LOG = 6000

/** Options of the machine that stand in a fragment as they are. */
const WORDS = [
  'linux',
  'xen',
  'holes',
  'config',
  'memory',
  'maxmem',
  'vEnd',
  'kernelSize',
  'initrdSize',
  'append',
] as const
const LISTS = ['with', 'without', 'mfn'] as const
const FLAGS = ['dom0', 'domu', 'firmwareMap', 'noE820'] as const
const TYPES = ['usable', 'reserved', 'ACPI data', 'ACPI NVS', 'unusable'] as const

/** The fragment of a state, without the `#`; what is as at the start is left out. */
export function linkOf(state: PageState): string {
  const link = new URLSearchParams({ v: String(LINK_VERSION) })
  if (state.view !== START.view) link.set('view', state.view)
  const { machine } = state
  for (const key of WORDS) if (machine[key] !== undefined) link.set(key, machine[key])
  for (const key of LISTS) if (machine[key]?.length) link.set(key, machine[key].join(','))
  for (const key of FLAGS) if (machine[key]) link.set(key, '1')
  if (typeof machine.map === 'string') link.set('map', machine.map)
  else if (machine.map !== undefined) link.set('ranges', rangesOf(machine.map))
  if (state.view === 'compare') link.set('beside', state.beside)
  if (state.event !== null) link.set('event', String(state.event))
  if (state.mfn !== null) link.set('frame', state.mfn.toString(16))
  if (state.zoom > 0) link.set('zoom', String(state.zoom))
  if (state.order !== START.order) link.set('order', state.order)
  if (state.top !== null) link.set('top', state.top.toString(16))
  if (state.table) link.set('table', '1')
  if (state.theme !== 'auto') link.set('theme', state.theme)
  if (state.log !== '' && state.view === 'explain' && state.log.length <= LONGEST_LOG)
    link.set('log', state.log)
  return link.toString()
}

/** What a fragment says; anything unreadable in it is left out, and told of in one line. */
export function stateOf(fragment: string): { state: PageState; problem: string | null } {
  const text = fragment.replace(/^#/, '')
  if (text === '') return { state: START, problem: null }
  const link = new URLSearchParams(text)
  const version = Number(link.get('v') ?? '1')
  if (!Number.isInteger(version) || version < 1 || version > LINK_VERSION) {
    const problem = `the link is of version ${link.get('v')}; this page reads links up to version ${LINK_VERSION}`
    return { state: START, problem }
  }
  const state = readLink(upgraded(link, version))
  return state === null
    ? { state: START, problem: 'the link is damaged, and was not used' }
    : { state, problem: null }
}

export type Upgrades = Readonly<Record<number, (link: URLSearchParams) => URLSearchParams>>

/** From each version to the next. In version 1 a domU without a map of its own had none of its toolstack either. */
const UPGRADES: Upgrades = {
  1: (link) => {
    if (link.get('domu') === '1' && !link.has('map') && !link.has('ranges')) link.set('noE820', '1')
    return link
  },
}

/** A fragment's keys as the present version has them. */
export function upgraded(
  link: URLSearchParams,
  from: number,
  upgrades: Upgrades = UPGRADES,
  to: number = LINK_VERSION,
): URLSearchParams {
  for (let version = from; version < to; version++) link = upgrades[version](link)
  return link
}

function readLink(link: URLSearchParams): PageState | null {
  const machine: Record<string, unknown> = {}
  for (const key of WORDS) if (link.has(key)) machine[key] = link.get(key)
  for (const key of LISTS) if (link.has(key)) machine[key] = link.get(key)?.split(',')
  for (const key of FLAGS) if (link.get(key) === '1') machine[key] = true
  if (link.has('map')) machine.map = link.get('map')
  const ranges = link.get('ranges')
  if (ranges !== null) {
    const map = mapOf(ranges)
    if (map === null) return null
    machine.map = map
  }
  const number = (key: string, radix: 10 | 16): number | null => {
    const text = link.get(key)
    if (text === null || !(radix === 10 ? /^\d{1,12}$/ : /^[0-9a-f]{1,10}$/i).test(text)) return null
    return Number.parseInt(text, radix)
  }
  return {
    view: oneOf(link.get('view'), ['boot', 'compare', 'explain'], START.view),
    machine: machine as MachineOptions,
    beside: link.get('beside') ?? START.beside,
    event: number('event', 10),
    mfn: number('frame', 16),
    zoom: Math.min(40, number('zoom', 10) ?? 0),
    order: oneOf(link.get('order'), ['pfn', 'mfn'], START.order),
    top: number('top', 16),
    table: link.get('table') === '1',
    theme: oneOf(link.get('theme'), ['auto', 'light', 'dark'], START.theme),
    log: link.get('log') ?? '',
  }
}

function oneOf<T extends string>(word: string | null, words: readonly T[], otherwise: T): T {
  return words.find((one) => one === word) ?? otherwise
}

/** A map of one's own in a line: name, kind, facts, and its ranges as start+length and a digit for the type. */
function rangesOf(map: MemoryMap): string {
  const entries = map.entries.map(({ start, end, type }) => {
    const code = TYPES.indexOf(type as (typeof TYPES)[number])
    return `${start.toString(16)}+${(end - start).toString(16)}:${code === -1 ? 1 : code}`
  })
  const facts = [map.nrPages?.toString(16) ?? '', map.vEnd?.toString(16) ?? '']
  return [map.name.replaceAll(';', ' '), map.kind, ...facts, ...entries].join(';')
}

function mapOf(text: string): MemoryMap | null {
  const [name, kind, nrPages, vEnd, ...ranges] = text.split(';')
  if (kind !== 'host' && kind !== 'guest') return null
  const entries = ranges.map((range) => {
    const match = /^([0-9a-f]{1,13})\+([0-9a-f]{1,13}):([0-4])$/.exec(range)
    if (match === null) return null
    const start = Number.parseInt(match[1], 16)
    return { start, end: start + Number.parseInt(match[2], 16), type: TYPES[Number(match[3])] }
  })
  if (entries.length === 0 || entries.some((entry) => entry === null)) return null
  return {
    name,
    kind,
    entries: entries.filter((entry) => entry !== null),
    partial: false,
    source: 'a link',
    ...(/^[0-9a-f]+$/.test(nrPages) ? { nrPages: Number.parseInt(nrPages, 16) } : {}),
    ...(/^[0-9a-f]+$/.test(vEnd) ? { vEnd: Number.parseInt(vEnd, 16) } : {}),
  }
}
