import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { Tinypool } from 'tinypool'

/**
 * Workers on threads of their own. A worker's module exports, as its default, a function from a task to a result, both
 * plain data; one call has one thread for itself.
 */
export type Pool<Task, Result> = {
  readonly threads: number
  run(task: Task): Promise<Result>
  close(): Promise<void>
}

/** All cores of this machine. */
export function coreCount(): number {
  return availableParallelism()
}

/**
 * Start `threads` workers.
 *
 * @param name the module's address without its ending, relative to `from`: workers are TypeScript in the clone and
 *   JavaScript in the published package
 * @param from the caller's import.meta
 * @param runtime whether each is a thread, or a process of its own, whose death is an error like any other
 */
export function openPool<Task, Result>(
  name: string,
  from: { readonly url: string; readonly filename: string },
  threads: number,
  runtime: 'worker_threads' | 'child_process' = 'worker_threads',
): Pool<Task, Result> {
  const filename = new URL(`${name}${extname(from.filename)}`, from.url).href
  const pool = new Tinypool({
    filename,
    runtime,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: 2 ** 31 - 1,
  })
  return {
    threads,
    run: (task) => pool.run(task) as Promise<Result>,
    close: () => pool.destroy(),
  }
}

/**
 * Run tasks on a pool and hand their results over in the tasks' order, whatever order they come back in: what is made of
 * them does not depend on the number of threads. Few tasks are under way at once, so a long list costs no memory.
 *
 * `take` returns false to end the run. A signal that is aborted ends it too, once the tasks under way are done; the
 * results that have been taken are always those of the first tasks.
 */
export async function runInOrder<Task, Result>(
  pool: Pool<Task, Result>,
  tasks: Iterable<Task>,
  signal: AbortSignal,
  take: (result: Result, task: Task) => boolean | undefined,
): Promise<void> {
  const waiting: { task: Task; result: Promise<Result> }[] = []
  const source = tasks[Symbol.iterator]()
  let goesOn = true
  const start = (): void => {
    if (!goesOn || signal.aborted) return
    const next = source.next()
    if (next.done === true) return
    const result = pool.run(next.value)
    // It is awaited in its turn; until then a failure is nobody's surprise.
    result.catch(() => {})
    waiting.push({ task: next.value, result })
  }
  for (let i = 0; i < pool.threads * 2; i++) start()
  for (let first = waiting.shift(); first !== undefined; first = waiting.shift()) {
    const result = await first.result
    if (goesOn && take(result, first.task) === false) goesOn = false
    start()
  }
}
