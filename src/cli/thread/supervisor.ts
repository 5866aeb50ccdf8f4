import module from 'node:module'
import { dirname, extname } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import { BadInput } from '../../bits/bad-input.ts'
import { watchThreads } from '../../files/temporaries.ts'
import { STOP_OUTCOMES, StopFlag } from '../../run/kernel/stop.ts'
import type { News, Start } from './thread.ts'

/** What a run can be stopped by, beside what it does itself. */
export type Reason = (typeof STOP_OUTCOMES)[number]

/** Signals that end a run with its report; a second one ends the process. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
export type Signal = (typeof SIGNALS)[number]

/** Milliseconds after a request for the end: until it is made urgent, until the thread is ended, and until the process is. */
const URGENT_MS = 400
const END_MS = 800
const KILL_MS = 950

/** How a run on the other thread ended. */
export type Ending<T> = {
  /** What the task came to; null when it did not get that far. */
  readonly value: T | null
  /** Why it was stopped; null when it was not. */
  readonly reason: Reason | null
  /** The signal that it was stopped by. */
  readonly signal: Signal | null
  /** Nobody reads what it writes. */
  readonly isUnread: boolean
  /** The thread has used up the memory that it may have outside of the machine. */
  readonly isFull: boolean
  readonly instructions: number
  readonly nanoseconds: number
}

export type Supervised = {
  readonly task: Start['task']
  readonly options: unknown
  readonly colour: boolean
  /** Seconds that it may take. */
  readonly wall?: number | undefined
  /** Whether the task looks at the flag, and signals and requests end it with its report. What does not is just ended. */
  readonly listens: boolean
  /** Takes the terminal when the task begins to listen: told what to do with bytes and how to leave, returns how to end it. */
  readonly terminal?: (typed: (bytes: Uint8Array) => void, leave: () => void) => () => void
}

/**
 * Do a task on another thread and watch it: this one sees signals, keys and the clock, whatever the guest does. Whoever is to
 * end has a second: first it is asked, then told to drop what it does, then its thread is ended, and if that is stuck in
 * a system call, the process.
 *
 * @throws BadInput and errors of the task
 */
export async function supervise<T>(run: Supervised): Promise<Ending<T>> {
  const stop = new StopFlag()
  const figures = new Float64Array(new SharedArrayBuffer(16))
  const keyboard = new MessageChannel()
  const worker = new Worker(new URL(`./thread${extname(import.meta.filename)}`, import.meta.url), {
    workerData: {
      task: run.task,
      options: run.options,
      colour: run.colour,
      stop: stop.words,
      figures,
      typed: keyboard.port2,
    } satisfies Start,
    transferList: [keyboard.port2],
    env: threadEnvironment(),
  })
  const timers: NodeJS.Timeout[] = []
  const later = (ms: number, what: () => void): void => void timers.push(setTimeout(what, ms))
  let reason: Reason | null = null
  let signal: Signal | null = null
  let value: T | null = null
  let isUnread = false
  let isFull = false
  let refused: BadInput | null = null

  let giveBack: (() => void) | undefined
  const onTyped = (bytes: Uint8Array): void => {
    keyboard.port1.postMessage(bytes)
    stop.ring()
  }
  const removeTemporaries = watchThreads()
  const endProcess = (by: NodeJS.Signals): void => {
    release()
    removeTemporaries()
    process.kill(process.pid, by)
  }
  const request = (why: Reason): void => {
    if (reason !== null) return
    reason = why
    stop.stop(STOP_OUTCOMES.indexOf(why))
    if (run.listens) later(URGENT_MS, () => stop.abandon())
    later(run.listens ? END_MS : 0, () => void worker.terminate())
    later(KILL_MS, () => endProcess(signal ?? 'SIGKILL'))
  }
  const onSignal = (name: NodeJS.Signals): void => {
    if (signal !== null) endProcess(name)
    signal = name as Signal
    request('interrupted')
  }
  /** Signals do again what they do to any process, and the terminal is as it was. */
  const release = (): void => {
    for (const timer of timers) clearTimeout(timer)
    for (const name of SIGNALS) process.off(name, onSignal)
    giveBack?.()
    giveBack = undefined
  }
  if (run.listens) for (const name of SIGNALS) process.on(name, onSignal)
  if (run.wall !== undefined) later(run.wall * 1000, () => request('wall-limit'))

  worker.on('message', (news: News) => {
    if (news.kind === 'over') release()
    else if (news.kind === 'begins') giveBack = run.terminal?.(onTyped, () => request('interrupted'))
    else if (news.kind === 'result') value = news.value as T
    else if (news.kind === 'unread') isUnread = true
    else if (news.kind === 'refused') refused = new BadInput(news.message)
  })
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on('error', (error: NodeJS.ErrnoException) => {
        isFull = error.code === 'ERR_WORKER_OUT_OF_MEMORY'
        if (!isFull) reject(error)
      })
      worker.on('exit', () => resolve())
    })
  } finally {
    release()
    removeTemporaries()
    keyboard.port1.close()
  }
  if (refused !== null) throw refused
  return { value, reason, signal, isUnread, isFull, instructions: figures[0], nanoseconds: figures[1] }
}

/** A thread has no cache of compiled code by itself: it gets this one's. */
function threadEnvironment(): NodeJS.ProcessEnv {
  const cache = module.getCompileCacheDir?.()
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) }
}

/** The longest that a timer of Node's can wait. */
const MOST_SECONDS = 2_000_000

/** `--wall`: whole seconds. Throws BadInput. */
export function wallLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text) || Number(text) > MOST_SECONDS) {
    throw new BadInput(`--wall ${text} is not a whole number of seconds up to ${MOST_SECONDS}`)
  }
  return Number(text)
}
