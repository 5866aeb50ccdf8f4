import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Answer, Request } from './child.ts'
import { finding, HANGS, TAKES_MEMORY, type Verdict } from './judge.ts'
import { mibOf, secondsOf, type Target, WORN } from './target.ts'

/** How often it is looked at. */
const LOOK_MS = 100
/**
 * An input that takes so many times the processor time that its target allows, and so many seconds more, comes to no end.
 * One that waits for nothing uses none: it is given up after `idle` times as much by the wall clock.
 */
export const PATIENCE = { times: 3, more: 2, idle: 20 }
/** What JavaScript's own memory may have; the rest is for the machine's. */
const HEAP_MIB = 1024

/** Why a process ended that should not have, and in which case. */
type Death = { readonly n: number; readonly verdict: Verdict & { readonly isFine: false } }

/** A process that runs inputs, and who watches over it: one that hangs, dies or takes too much is ended, and begun anew. */
export class Runner {
  private readonly registry: string
  private readonly patience: typeof PATIENCE
  private readonly folder = mkdtempSync(join(tmpdir(), 'xenolith-fuzz-'))
  private child: ChildProcess | null = null

  /**
   * @param registry address of the module whose TARGETS there are
   * @param patience how long is too long
   */
  constructor(registry: string, patience = PATIENCE) {
    this.registry = registry
    this.patience = patience
  }

  /** Seconds of processor time after which so many runs of an input will come to no end. */
  most(target: Target, runs: number): number {
    return runs * (secondsOf(target) * this.patience.times + this.patience.more)
  }

  /** End the process. The next input gets one of its own. */
  restart(): void {
    this.child?.kill('SIGKILL')
    this.child = null
  }

  close(): void {
    this.restart()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /**
   * Run one input.
   *
   * @param most seconds that it may take, where it is known to be one that hangs
   */
  async judge(target: Target, input: Uint8Array, most?: number): Promise<Verdict> {
    const end = await this.ask({ ask: 'judge', target: target.name, input }, target, 2, most)
    return 'verdict' in end && end.verdict !== null
      ? end.verdict
      : finding('no answer', 'the process gave no answer')
  }

  /**
   * Run cases, up to the first finding.
   *
   * @returns how many there were, the number to go on with, and the finding with its input
   */
  async cases(
    target: Target,
    request: { seed: number; from: number; step: number; ms: number; end: number },
  ): Promise<{
    cases: number
    next: number
    found: { n: number; input: Uint8Array; isMade: boolean; verdict: Verdict & { isFine: false } } | null
  }> {
    const { from, step, seed } = request
    const answer = await this.ask({ ask: 'cases', target: target.name, ...request }, target, 2)
    if ('n' in answer) {
      const { n, verdict } = answer
      const made = await this.ask({ ask: 'input', target: target.name, seed, n }, target, 1)
      // What cannot even be made is told with nothing to repeat it by but its number.
      const input = 'n' in made ? null : made.input
      const found = { n, input: input ?? new Uint8Array(0), isMade: input !== null, verdict }
      return { cases: Math.max(0, (n - from) / step) + 1, next: n + step, found }
    }
    const { cases, next, input, verdict } = answer
    const isFound = verdict !== null && !verdict.isFine && input !== null
    return { cases, next, found: isFound ? { n: next - step, input, isMade: true, verdict } : null }
  }

  private async start(): Promise<ChildProcess> {
    const child = fork(
      fileURLToPath(new URL('./child.ts', import.meta.url)),
      [this.registry, this.progressFile],
      {
        serialization: 'advanced',
        execArgv: [`--max-old-space-size=${HEAP_MIB}`, '--expose-gc', '--stack-trace-limit=30'],
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      },
    )
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve())
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`the process of the targets ended with ${code}`)))
      child.stderr?.on('data', (data) => {
        this.lastWords = (this.lastWords + data).slice(-4000)
      })
    })
    child.removeAllListeners('exit')
    return child
  }
  private lastWords = ''

  private get progressFile(): string {
    return join(this.folder, 'progress')
  }

  /** Ask, and wait for the answer or the process's end. */
  private async ask(
    request: Request,
    target: Target,
    runs: number,
    most = this.most(target, runs),
  ): Promise<Answer | Death> {
    this.lastWords = ''
    const mostMib = mibOf(target)
    if (this.child !== null && residentMib(this.child.pid) > mostMib * WORN) this.restart()
    this.child ??= await this.start()
    const { child } = this
    return new Promise((resolve) => {
      let at = this.progress()
      let since = performance.now()
      let before = processorSeconds(child.pid)
      const end = (answer: Answer | Death, isDead: boolean): void => {
        clearInterval(timer)
        child.removeAllListeners('message')
        child.removeAllListeners('exit')
        if (isDead) {
          child.kill('SIGKILL')
          this.child = null
        }
        resolve(answer)
      }
      const die = (verdict: Verdict): void =>
        end({ n: this.progress(), verdict: verdict as Death['verdict'] }, true)
      const timer = setInterval(() => {
        const now = this.progress()
        if (now !== at) [at, since, before] = [now, performance.now(), processorSeconds(child.pid)]
        const used = processorSeconds(child.pid) - before
        const waited = (performance.now() - since) / 1000
        if (used > most || waited > most * this.patience.idle) {
          die(finding(HANGS, `no end after ${used.toFixed(1)} s of processor time`))
        }
        const mib = residentMib(child.pid)
        if (mib > mostMib) die(finding(TAKES_MEMORY, `the process has ${mib} MiB`))
      }, LOOK_MS)
      child.on('message', (answer: Answer) => end(answer, false))
      child.on('exit', (code, signal) => {
        const how = signal === null ? `exit status ${code}` : signal
        const words = this.lastWords.trim()
        const isHeap = /heap out of memory|Reached heap limit/.test(words)
        die(
          isHeap
            ? finding(TAKES_MEMORY, 'the heap is full', words)
            : finding(`dies (${how})`, `the process ended: ${how}`, words),
        )
      })
      child.send(request)
    })
  }

  /** The case that the process is at. */
  private progress(): number {
    try {
      const bytes = readFileSync(this.progressFile)
      return bytes.length < 8 ? -1 : bytes.readDoubleLE(0)
    } catch {
      return -1
    }
  }
}

/** Seconds of processor time that a process has used; 0 where the system does not tell. */
function processorSeconds(pid: number | undefined): number {
  try {
    // Behind the name in parentheses: state, then numbers, of which the 12th and 13th are ticks of a hundredth.
    const words = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return (Number(words[11]) + Number(words[12])) / 100
  } catch {
    return 0
  }
}

/** MiB of memory that a process has; 0 where the system does not tell. */
function residentMib(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Math.round(Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024)
  } catch {
    return 0
  }
}
