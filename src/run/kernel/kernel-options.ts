import { BadInput } from '../../bits/bad-input.ts'
import type { XlConfig } from '../../toolstack/xl-config.ts'
import { bootOptions, memoryPages, type RawBootOptions } from '../boot/boot-options.ts'
import { parseSize } from '../boot/numbers.ts'
import { tierOf } from '../tiers.ts'
import type { Dom0Options } from './dom0-host.ts'
import type { KernelRunOptions } from './kernel-boot.ts'
import type { KernelOptions } from './kernel-machine.ts'

/** What is typed for a real kernel beside what models take, too. */
export type RawKernelOptions = RawBootOptions & {
  readonly name?: string
  readonly seed?: string
  readonly timeout?: string
  readonly consoleLimit?: string
  readonly until?: string
  readonly explain?: boolean
  readonly tier?: string
  /** Of a dom0: its memory, and that its machine has no ACPI. */
  readonly dom0Mem?: string
  readonly noAcpi?: boolean
}

/** Options of models that have no meaning for a real kernel, as they are typed. */
const OF_MODELS: readonly (readonly [field: keyof RawBootOptions, option: string])[] = [
  ['linux', '--linux'],
  ['with', '--with'],
  ['without', '--without'],
  ['holes', '--holes'],
  ['vEnd', '--v-end'],
  ['kernelSize', '--kernel-size'],
  ['initrdSize', '--initrd-size'],
]
/** Options that only a dom0 has a meaning for, and those that only a domU has. */
const OF_DOM0 = [
  ['map', '--map'],
  ['firmwareMap', '--firmware-map'],
  ['mfn', '--mfn'],
  ['dom0Mem', '--dom0-mem'],
  ['noAcpi', '--no-acpi'],
] as const satisfies readonly (readonly [field: keyof RawKernelOptions, option: string])[]
const OF_DOMU = [
  ['domu', '--domu'],
  ['noE820', '--no-e820'],
] as const satisfies readonly (readonly [field: keyof RawKernelOptions, option: string])[]

/** MiB in frames. */
const MIB = 256
const MOST_SEED = 2 ** 32

/** What was typed and what a configuration says, as what a kernel's boot takes but for its files. Throws BadInput. */
export function kernelOptions(
  raw: RawKernelOptions,
  config: XlConfig | null,
): Omit<KernelOptions & KernelRunOptions, 'kernel'> {
  checkKind(raw)
  const dom0 = dom0Options(raw, config)
  const typed = bootOptions({
    ...(raw.memory === undefined ? {} : { memory: raw.memory }),
    ...(raw.maxmem === undefined ? {} : { maxmem: raw.maxmem }),
    ...(raw.append === undefined ? {} : { append: raw.append }),
  })
  if (raw.dom0Mem !== undefined) typed.memory = memoryPages('--dom0-mem', raw.dom0Mem)
  // A guest of which xl is told the most only gets that at once.
  const configured = config?.memory ?? config?.maxmem
  const memory = typed.memory ?? (configured === undefined ? undefined : configured * MIB)
  const maxMemory =
    typed.maxMemory ??
    (config?.maxmem === undefined ? undefined : Math.max(config.maxmem * MIB, typed.memory ?? 0))
  // What a map says of the kernel that ran there.
  const ofMap = typeof dom0?.map === 'object' ? dom0.map.append : undefined
  const append = typed.append ?? config?.append ?? ofMap
  const name = raw.name ?? config?.name
  const timeLimit = number('--timeout', raw.timeout, 1e9)
  const consoleLimit =
    raw.consoleLimit === undefined
      ? undefined
      : parseSize('--console-limit', raw.consoleLimit, 'B', '64M, 100K or 1048576')
  const until = untilText(raw.until)
  const tier = tierOf(raw.tier)
  const seed = number('--seed', raw.seed, MOST_SEED)
  if (name !== undefined && !/^[\w.+-]{1,64}$/.test(name)) {
    throw new BadInput(`--name ${name}: a guest's name has letters, digits and . _ + -`)
  }
  return {
    ...(dom0 === null ? {} : { dom0 }),
    ...(memory === undefined ? {} : { memory }),
    ...(maxMemory === undefined ? {} : { maxMemory }),
    ...(raw.noE820 === true ? { hasMap: false } : {}),
    ...(append === undefined ? {} : { append }),
    ...(name === undefined ? {} : { name }),
    ...(raw.xen === undefined ? {} : { xen: raw.xen }),
    ...(timeLimit === undefined ? {} : { timeLimit }),
    ...(consoleLimit === undefined ? {} : { consoleLimit }),
    ...(until === undefined ? {} : { until }),
    ...(seed === undefined ? {} : { seed }),
    ...(tier === undefined ? {} : { core: { tier } }),
    ...(raw.explain === true ? { explain: true } : {}),
  }
}

/** What a run may be told to wait for: longer lines are nobody's. */
const LONGEST_UNTIL = 4096

/** The text of --until. Throws BadInput for one that can stand in no line. */
export function untilText(text: string | undefined): string | undefined {
  if (text === undefined || (text !== '' && text.length <= LONGEST_UNTIL && !/[\r\n]/.test(text))) return text
  throw new BadInput(`--until takes a part of one line, of 1 to ${LONGEST_UNTIL} characters; give one`)
}

/**
 * Refuse what is for models, and what is for a dom0 of a domU and the other way round.
 *
 * @param raw what was typed, whatever its values are
 * @throws BadInput
 */
export function checkKind(raw: { readonly [field in keyof RawKernelOptions]?: unknown }): void {
  const isGiven = (field: keyof RawKernelOptions): boolean => raw[field] !== undefined && raw[field] !== false
  const ofModels = OF_MODELS.find(([field]) => isGiven(field))
  if (ofModels !== undefined)
    throw new BadInput(`${ofModels[1]} is for model kernels, --kernel for a real one; keep one of them`)
  const isDom0 = raw.dom0 === true
  const stray = (isDom0 ? OF_DOMU : OF_DOM0).find(([field]) => isGiven(field))
  if (stray !== undefined)
    throw new BadInput(
      isDom0
        ? `${stray[1]} is for guests, and --dom0 for none; keep one of them`
        : `${stray[1]} is for a dom0; give --dom0, too`,
    )
  if (isDom0 && isGiven('memory')) throw new BadInput('--memory is for guests; give --dom0-mem to a dom0')
}

/** The machine of a dom0; null for a domU. */
function dom0Options(raw: RawKernelOptions, config: XlConfig | null): Dom0Options | null {
  if (raw.dom0 !== true) return null
  if (config !== null)
    throw new BadInput("--dom0: xl's configurations are of guests; give --kernel, and no configuration")
  if (raw.map === undefined) throw new BadInput("a dom0 needs the machine's map: give --map NAME or a file")
  const { mfn } = bootOptions(raw.mfn === undefined ? {} : { mfn: raw.mfn })
  return {
    map: raw.map,
    ...(raw.firmwareMap === true ? { firmwareMap: true } : {}),
    ...(raw.noAcpi === true ? { acpi: false } : {}),
    ...(mfn === undefined ? {} : { mfn }),
  }
}

function number(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text) || Number(text) > most) {
    throw new BadInput(`${option} ${text} is not a whole number up to ${most}`)
  }
  return Number(text)
}
