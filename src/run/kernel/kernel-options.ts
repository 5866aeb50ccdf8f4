import { BadInput } from '../../bits/bad-input.ts'
import type { XlConfig } from '../../toolstack/xl-config.ts'
import { bootOptions, type RawBootOptions } from '../boot/boot-options.ts'
import { parseSize } from '../boot/numbers.ts'
import type { KernelRunOptions } from './kernel-boot.ts'
import type { KernelOptions } from './kernel-machine.ts'

/** What is typed for a real kernel beside what models take, too. */
export type RawKernelOptions = RawBootOptions & {
  readonly name?: string
  readonly seed?: string
  readonly timeout?: string
  readonly consoleLimit?: string
  readonly explain?: boolean
}

/** Options of models that have no meaning for a real kernel, as they are typed. */
const OF_MODELS: readonly (readonly [field: keyof RawBootOptions, option: string])[] = [
  ['linux', '--linux'],
  ['with', '--with'],
  ['without', '--without'],
  ['holes', '--holes'],
  ['map', '--map'],
  ['dom0', '--dom0'],
  ['firmwareMap', '--firmware-map'],
  ['vEnd', '--v-end'],
  ['kernelSize', '--kernel-size'],
  ['initrdSize', '--initrd-size'],
  ['mfn', '--mfn'],
]

/** MiB in frames. */
const MIB = 256
const MOST_SEED = 2 ** 32

/** What was typed and what a configuration says, as what a kernel's boot takes but for its files. Throws BadInput. */
export function kernelOptions(
  raw: RawKernelOptions,
  config: XlConfig | null,
): Omit<KernelOptions & KernelRunOptions, 'kernel'> {
  for (const [field, option] of OF_MODELS) {
    if (raw[field] !== undefined && raw[field] !== false) {
      throw new BadInput(`${option} is for model kernels, --kernel for a real one; keep one of them`)
    }
  }
  const typed = bootOptions({
    ...(raw.memory === undefined ? {} : { memory: raw.memory }),
    ...(raw.maxmem === undefined ? {} : { maxmem: raw.maxmem }),
    ...(raw.append === undefined ? {} : { append: raw.append }),
  })
  // A guest of which xl is told the most only gets that at once.
  const configured = config?.memory ?? config?.maxmem
  const memory = typed.memory ?? (configured === undefined ? undefined : configured * MIB)
  const maxMemory =
    typed.maxMemory ??
    (config?.maxmem === undefined ? undefined : Math.max(config.maxmem * MIB, typed.memory ?? 0))
  const append = typed.append ?? config?.append
  const name = raw.name ?? config?.name
  const timeLimit = number('--timeout', raw.timeout, 1e9)
  const consoleLimit =
    raw.consoleLimit === undefined
      ? undefined
      : parseSize('--console-limit', raw.consoleLimit, 'B', '64M, 100K or 1048576')
  const seed = number('--seed', raw.seed, MOST_SEED)
  if (name !== undefined && !/^[\w.+-]{1,64}$/.test(name)) {
    throw new BadInput(`--name ${name}: a guest's name has letters, digits and . _ + -`)
  }
  return {
    ...(memory === undefined ? {} : { memory }),
    ...(maxMemory === undefined ? {} : { maxMemory }),
    ...(raw.noE820 === true ? { hasMap: false } : {}),
    ...(append === undefined ? {} : { append }),
    ...(name === undefined ? {} : { name }),
    ...(raw.xen === undefined ? {} : { xen: raw.xen }),
    ...(timeLimit === undefined ? {} : { timeLimit }),
    ...(consoleLimit === undefined ? {} : { consoleLimit }),
    ...(seed === undefined ? {} : { seed }),
    ...(raw.explain === true ? { explain: true } : {}),
  }
}

function number(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text) || Number(text) > most) {
    throw new BadInput(`${option} ${text} is not a whole number up to ${most}`)
  }
  return Number(text)
}
