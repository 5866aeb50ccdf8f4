import { spawnSync } from 'node:child_process'
import { closeSync, cpSync, mkdtempSync, openSync, rmSync, symlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { boot } from '../src/run/boot/boot.ts'
import { mapLines } from '../src/run/maps/map-text.ts'
import { findMap } from '../src/run/maps/maps.ts'
import { interleaved, median, milliseconds, spread } from './measure.ts'

/**
 * A log of 100 MB, as a serial console's of months is: what explaining it costs beside looking for one word in it. The
 * program is the package as it is published, which a clone's is not: a clone strips the types of its files at every start.
 */
export const name = 'explain'
export const about = 'a log of 100 MB, beside grep -c XEN on it'

const BYTES = 100e6
const ROUNDS = 5
const root = fileURLToPath(new URL('../', import.meta.url))

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-bench-'))
  try {
    const program = builtPackage(folder)
    const healthy = join(folder, 'healthy.log')
    const crashes = join(folder, 'crashes.log')
    write(healthy, [bootText('C')])
    write(crashes, [bootText('C'), bootText('B')])
    const explain = (file: string) => () => command(process.execPath, [program, 'explain', file, '--no-boot'])
    const cases = [
      { key: 'grep', action: () => command('grep', ['-c', 'XEN', healthy]) },
      { key: 'healthy', action: explain(healthy) },
      { key: 'crashes', action: explain(crashes) },
    ]
    for (const { action } of cases) action()
    const samples = await interleaved(cases, ROUNDS, async ({ action }) => milliseconds(action))
    for (const { key } of cases) report(`${key}: ${spread(samples.get(key)!)} ms`)
    const of = (key: string) => median(samples.get(key)!)
    return {
      grep_ms: Math.round(of('grep')),
      healthy_ms: Math.round(of('healthy')),
      crashes_ms: Math.round(of('crashes')),
      healthy_ratio: round(of('healthy') / of('grep')),
      crashes_ratio: round(of('crashes') / of('grep')),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What `npm pack` would ship, in a folder; returns its program. */
function builtPackage(folder: string): string {
  const build = join(folder, 'package')
  command(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    join(root, 'tsconfig.build.json'),
    '--outDir',
    join(build, 'dist'),
  ])
  for (const part of ['bin', 'data', 'package.json'])
    cpSync(join(root, part), join(build, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(build, 'node_modules'))
  return join(build, 'bin/xenolith.js')
}

const round = (value: number) => Math.round(value * 10) / 10

/** Xen's map and a boot's console, with the time stamps that both put before their lines. */
function bootText(linux: string): string {
  const { console: lines } = boot({ linux })
  const map = mapLines(findMap('msi-h61m-p23-8g'))
  return [...map, ...lines]
    .map((line, i) => (line.startsWith('(XEN)') ? line : `[${(i / 100).toFixed(6).padStart(12)}] ${line}`))
    .join('\n')
}

/** The texts one after the other until the file is large enough, and between them what a quiet host and its guests say. */
function write(file: string, texts: readonly string[]): void {
  const quiet = Array.from({ length: 400 }, (_, i) =>
    i % 2 === 0
      ? `(XEN) [2026-11-22 10:${String(i % 60).padStart(2, '0')}:00.${i}] HVM d${i} save: VMCE_VCPU, then CPU and PIC`
      : `[${(1000 + i).toFixed(6)}] xenbr0: port ${(i % 7) + 1}(vif${i}.0) entered forwarding state`,
  ).join('\n')
  const descriptor = openSync(file, 'w')
  for (let written = 0, i = 0; written < BYTES; i++)
    written += writeSync(descriptor, `${texts[i % texts.length]}\n${quiet}\n`)
  closeSync(descriptor)
}

/** Runs a command to its end; its output goes into a pipe, as grep reads no further when nobody listens. */
function command(file: string, words: readonly string[]): void {
  const { status, error } = spawnSync(file, words, { stdio: ['ignore', 'pipe', 'ignore'] })
  if (error !== undefined || status === null || status > 3)
    throw error ?? new Error(`${file} ended with ${status}`)
}
