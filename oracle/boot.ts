import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endWithProcess } from './running.ts'
import type { Tools } from './tools.ts'

export type BootOptions = {
  readonly domain: 'dom0' | 'domU'
  /**
   * An instruction takes 2^shift ns of the machine's time, default 5. The same shift gives the same run; another one
   * makes timers fire elsewhere.
   */
  readonly shift?: number
}

/** How a run on real Xen ended. `panic` is Xen's own end; `hang` a console that went silent; `exit` QEMU's. */
export type BootEnd = 'end' | 'crash' | 'die' | 'panic' | 'hang' | 'exit'

export type Booted = {
  /** The console's lines, Xen's with their `(XEN) `, the probe's with `@`. */
  readonly lines: readonly string[]
  readonly end: BootEnd
  /** When the script began and when it ended, in ms from the start of QEMU. */
  readonly scriptMs: number
  readonly totalMs: number
}

/** The machine of the recordings: 256 MiB, of which dom0 gets 32, and a CPU without what the probe does not need. */
const MACHINE = [
  '-accel',
  'tcg',
  '-cpu',
  'qemu64',
  '-m',
  '256',
  '-nodefaults',
  '-display',
  'none',
  '-no-reboot',
]
/** Everything is logged, at once: the console is a port whose bytes QEMU writes to a file. */
const XEN_OPTIONS = 'console=xen loglvl=all guest_loglvl=all dom0_mem=32M noreboot edid=no bootscrub=0'
const POLL_MS = 10
const SILENCE_MS = 20_000
/** What Xen prints after its panic belongs to it. */
const PANIC_MS = 200

const ENDS: readonly (readonly [RegExp, BootEnd])[] = [
  [/^@end/, 'end'],
  [/^@die/, 'die'],
  [/^@stopped|Hardware Dom0 (crashed|shutdown)/, 'crash'],
  [/Panic on CPU|Xen BUG at|Assertion '.*' failed/, 'panic'],
]

/** Boot real Xen under QEMU with the probe as dom0, and a script for it or for the domU that it builds. */
export function bootXen(tools: Tools, script: string, options: BootOptions): Promise<Booted> {
  // A file in memory takes QEMU's single bytes best.
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'xenolith-oracle-'))
  const [scriptFile, console] = [join(folder, 'script'), join(folder, 'console')]
  writeFileSync(scriptFile, script)
  writeFileSync(console, '')
  const probe = options.domain === 'domU' ? `${tools.probe} domu` : tools.probe
  const args = [
    ...MACHINE,
    ...['-icount', `shift=${options.shift ?? 5},sleep=off`],
    ...['-chardev', `file,id=console,path=${console}`, '-device', 'isa-debugcon,iobase=0xe9,chardev=console'],
    ...['-kernel', tools.xen, '-append', XEN_OPTIONS, '-initrd', `${probe},${scriptFile}`],
  ]
  const started = performance.now()
  const qemu = spawn(tools.qemu, args, { stdio: 'ignore' })
  const stop = (): void => void qemu.kill('SIGKILL')
  const isOver = endWithProcess(stop, folder)
  const file = openSync(console, 'r')
  const reader = new LineReader(file)
  const lines: string[] = []
  let end: BootEnd | null = null
  let scriptMs = 0
  let quietSince = started
  let panicSince = 0
  return new Promise((resolve, reject) => {
    const poll = (): void => {
      const now = performance.now()
      for (const line of reader.read()) {
        quietSince = now
        if (scriptMs === 0 && line.startsWith('@op ')) scriptMs = now - started
        lines.push(line)
        end ??= ENDS.find(([pattern]) => pattern.test(line))?.[1] ?? null
      }
      if (end === 'panic' && panicSince === 0) panicSince = now
      if (end === null && now - quietSince > SILENCE_MS) end = 'hang'
      if (end !== null && now - panicSince > PANIC_MS) stop()
    }
    const timer = setInterval(poll, POLL_MS)
    const finish = (): void => {
      clearInterval(timer)
      isOver()
      closeSync(file)
      rmSync(folder, { recursive: true })
    }
    qemu.on('error', (error) => {
      finish()
      reject(error)
    })
    qemu.on('exit', () => {
      if (end === null) poll()
      finish()
      resolve({ lines, end: end ?? 'exit', scriptMs, totalMs: performance.now() - started })
    })
  })
}

/** Reads a growing file line by line. */
class LineReader {
  private readonly file: number
  private readonly chunk = Buffer.alloc(1 << 18)
  private rest = ''
  private at = 0

  constructor(file: number) {
    this.file = file
  }

  /** The lines that have become whole since the last call. */
  read(): string[] {
    for (;;) {
      const bytes = readSync(this.file, this.chunk, 0, this.chunk.length, this.at)
      if (bytes === 0) break
      this.at += bytes
      this.rest += this.chunk.toString('latin1', 0, bytes)
    }
    const lines = this.rest.split(/\r*\n\r*/)
    this.rest = lines.pop() ?? ''
    return lines
  }
}
