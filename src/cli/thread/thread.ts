import { isatty } from 'node:tty'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { BadInput } from '../../bits/bad-input.ts'
import { StopFlag } from '../../run/kernel/stop.ts'
import { type Io, ioOver } from '../io.ts'
import { NobodyReads, writeStandard } from './standard-output.ts'

/**
 * The other thread of a run: what takes long, and sees no signal and no clock meanwhile, is done here; the first thread
 * watches (supervisor.ts). This is the module that the thread starts with.
 */

/** What a task has of the thread that it is done on. */
export type Here = {
  /** Writes at once, by itself: nothing waits in a queue that could grow. */
  readonly io: Io
  readonly stop: StopFlag
  /** Whether somebody watches standard error. */
  readonly isWatched: boolean
  /** What was typed since the last time. */
  readonly typed: () => Uint8Array[]
  /** How far it has come, for a report by the first thread if there is no other. */
  readonly pulse: (instructions: number, nanoseconds: number) => void
  /** From now on somebody may type. */
  readonly begins: () => void
  /** The run is over; what is left is to write it down, which nobody needs to hurry. */
  readonly over: () => void
}

/** What the first thread gives along. */
export type Start = {
  readonly task: keyof typeof TASKS
  readonly options: unknown
  readonly colour: boolean
  readonly stop: Int32Array<SharedArrayBuffer>
  readonly figures: Float64Array
  readonly typed: MessagePort
}

/** What the first thread is told. */
export type News =
  | { readonly kind: 'begins' | 'over' }
  | { readonly kind: 'result'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'unread' }

type Task = { run(options: never, here: Here): unknown }

/** What can be done on the thread, by name. */
const TASKS = {
  kernel: (): Promise<Task> => import('../verbs/boot/kernel-task.ts'),
  model: (): Promise<Task> => import('../verbs/boot/model-task.ts'),
  script: (): Promise<Task> => import('../verbs/script/script-task.ts'),
}

const tell = (news: News): void => parentPort?.postMessage(news)

function hereOf({ colour, stop: words, figures, typed }: Start): Here {
  const stop = new StopFlag(words)
  return {
    io: ioOver(
      (content) => writeStandard('output', content, stop),
      (content) => writeStandard('error', content, stop),
      colour,
    ),
    stop,
    isWatched: isatty(2),
    typed: () => {
      const all: Uint8Array[] = []
      for (let one = receiveMessageOnPort(typed); one !== undefined; one = receiveMessageOnPort(typed)) {
        all.push(one.message)
      }
      return all
    },
    pulse: (instructions, nanoseconds) => {
      figures[0] = instructions
      figures[1] = nanoseconds
    },
    begins: () => tell({ kind: 'begins' }),
    over: () => tell({ kind: 'over' }),
  }
}

const start = workerData as Start
try {
  const { run } = await TASKS[start.task]()
  tell({ kind: 'result', value: await run(start.options as never, hereOf(start)) })
} catch (error) {
  if (error instanceof NobodyReads) tell({ kind: 'unread' })
  else if (error instanceof BadInput) tell({ kind: 'refused', message: error.message })
  // What is a mistake of ours goes the way of all such: the supervisor's thread throws it again.
  else throw error
}
