import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BadInput } from '../src/bits/bad-input.ts'
import { bzImagePayload, unpackKernel } from '../src/toolstack/image/bzimage.ts'
import { packingOf } from '../src/toolstack/image/payload/payload.ts'
import { debianKernel, type Suite } from '../test/tools/debian.ts'
import { inChild, interleaved, median, milliseconds, spread } from './measure.ts'

/** Debian's kernels, unpacked here and by the tools that Debian has for it. */
export const name = 'unpack'
export const about = 'Debian’s kernels unpacked, beside xz, lz4 and zstd; half a minute'

const ROUNDS = 9

/** A way to pack: a kernel that has it, and the tool that unpacks its payload to standard output. */
type Case = {
  readonly key: string
  readonly suite: Suite
  readonly kernel: string
  readonly tool: readonly [string, ...string[]]
  /** Nothing at all, packed: what the tool takes for that is the start of its process. */
  readonly nothing: string
}

const CASES: readonly Case[] = [
  {
    key: 'xz',
    suite: 'bookworm',
    kernel: 'linux-image-amd64',
    tool: ['xz', '-dc'],
    nothing: '/Td6WFoAAATm1rRGAAAAABzfRCEftvN9AQAAAAAEWVo=',
  },
  {
    key: 'lz4',
    suite: 'bookworm',
    kernel: 'linux-image-cloud-amd64',
    tool: ['lz4', '-dcq'],
    nothing: 'BCJNGGRApwAAAAAFXcwC',
  },
  {
    key: 'zstd',
    suite: 'trixie',
    kernel: 'linux-image-amd64',
    tool: ['zstd', '-dcq', '--long=27'],
    nothing: 'KLUv/SQAAQAAmenYUQ==',
  },
]

/** A case with its files: the kernel, its payload, nothing. */
type Files = Case & { readonly image: string; readonly payload: string; readonly empty: string }
type Sample = { readonly ours: number; readonly tool: number }

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-unpack-'))
  try {
    const cases = CASES.map((one) => writeFiles(folder, one))
    const samples = await interleaved(cases, ROUNDS, measure)
    return Object.assign({}, ...cases.map(({ key }) => figures(key, samples.get(key)!, report)))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function writeFiles(folder: string, one: Case): Files {
  const kernel = debianKernel({ suite: one.suite, name: one.kernel })
  if ('reason' in kernel) throw new BadInput(kernel.reason)
  const payload = bzImagePayload(kernel.bytes, kernel.name)
  if (packingOf(payload)?.name !== one.key) throw new BadInput(`${kernel.name} is not packed by ${one.key}`)
  const path = (what: string): string => join(folder, `${one.key}-${what}`)
  const files = { ...one, image: path('image'), payload: path('payload'), empty: path('empty') }
  writeFileSync(files.image, kernel.bytes)
  writeFileSync(files.payload, payload.subarray(0, -4))
  writeFileSync(files.empty, Buffer.from(one.nothing, 'base64'))
  return files
}

async function measure({ image, payload, empty, tool }: Files): Promise<Sample> {
  const { value } = await inChild<number>(import.meta.url, 'unpackHere', image)
  return { ours: value, tool: runTool(tool, payload) - runTool(tool, empty) }
}

/** Milliseconds of unpacking in this process, which has compiled nothing for it yet. */
export function unpackHere(image: string): number {
  const bytes = readFileSync(image)
  return milliseconds(() => unpackKernel(bytes, image))
}

function runTool([command, ...words]: readonly [string, ...string[]], file: string): number {
  return milliseconds(() => {
    const { status, error } = spawnSync(command, [...words, file], { stdio: 'ignore' })
    if (error !== undefined) throw new BadInput(`${command} is not installed`)
    if (status !== 0) throw new Error(`${command} ended with ${status}`)
  })
}

function figures(
  key: string,
  samples: readonly Sample[],
  report: (line: string) => void,
): Record<string, number> {
  const [ours, tool] = [samples.map((sample) => sample.ours), samples.map((sample) => sample.tool)]
  report(`${key}: here ${spread(ours)} ms, its tool ${spread(tool)} ms`)
  return {
    [`unpack_${key}_ms`]: Math.round(median(ours)),
    [`${key}_ms`]: Math.round(median(tool)),
    [`unpack_over_${key}`]: Number((median(ours) / median(tool)).toPrecision(3)),
  }
}
