import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BadInput } from '../../src/bits/bad-input.ts'

/**
 * The loops of loops.c and more-loops.c, in the order of their numbers there: name, and rounds in a measured run. A run takes QEMU some tenths
 * of a second.
 */
export const LOOPS: readonly { readonly key: string; readonly rounds: number }[] = [
  { key: 'mixed', rounds: 300 },
  { key: 'calls', rounds: 20_000 },
  { key: 'copy_repeat', rounds: 64 },
  { key: 'copy_loop', rounds: 400 },
  { key: 'sse', rounds: 600 },
  { key: 'swaps', rounds: 1500 },
  { key: 'strings', rounds: 2500 },
  { key: 'divisions', rounds: 6000 },
  { key: 'lists', rounds: 10_000 },
  { key: 'narrow', rounds: 6000 },
  { key: 'recursion', rounds: 30_000 },
  { key: 'dispatch', rounds: 10_000 },
  { key: 'bit_tests', rounds: 12_000 },
  { key: 'digest', rounds: 100_000 },
  { key: 'matrix', rounds: 1000 },
  { key: 'tables', rounds: 8000 },
  { key: 'short_strings', rounds: 4000 },
]

const FLAGS =
  '-O2 -ffreestanding -fno-pic -fno-pie -no-pie -mno-red-zone -mcmodel=small -fno-stack-protector -static -nostdlib ' +
  '-fno-asynchronous-unwind-tables -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments'

/** Compile and link the image that both machines run. @returns the path of an ELF file */
export function buildLoops(): string {
  const source = (name: string) => fileURLToPath(new URL(name, import.meta.url))
  const elf = join(mkdtempSync(join(tmpdir(), 'xenolith-loops-')), 'loops.elf')
  const rounds = LOOPS.map((loop) => loop.rounds).join(',')
  const defines = [`-DLOOPS=${LOOPS.length}`, `-DROUNDS=${rounds}`]
  const files = [source('boot.S'), source('loops.c'), source('more-loops.c')]
  const words = [...FLAGS.split(' '), ...defines, '-T', source('link.ld'), '-o', elf, ...files]
  const { status, stderr, error } = spawnSync('gcc', words, { encoding: 'utf8' })
  if (error !== undefined) throw new BadInput('gcc is not installed: it compiles the loops')
  if (status !== 0) throw new Error(`the loops do not compile: ${stderr}`)
  return elf
}

/** What an ELF file wants in memory: one segment. */
export type Image = { readonly address: number; readonly bytes: Uint8Array; readonly memoryBytes: number }

/** The loadable segment of a 64-bit ELF file that has one. */
export function readImage(path: string): Image {
  const file = readFileSync(path)
  const table = Number(file.readBigUInt64LE(32))
  for (let i = 0; i < file.readUInt16LE(56); i++) {
    const at = table + i * file.readUInt16LE(54)
    if (file.readUInt32LE(at) !== 1) continue
    const wide = (offset: number) => Number(file.readBigUInt64LE(at + offset))
    return {
      address: wide(16),
      bytes: file.subarray(wide(8), wide(8) + wide(32)),
      memoryBytes: wide(40),
    }
  }
  throw new Error(`${path} has nothing to load`)
}
