import type { Ask, Reply, RequestKind, Requests } from './messages.ts'
import MachineWorker from './worker.ts?worker&inline'

/** An error of whoever uses the page: one line, to be shown as it is. */
export class PageError extends Error {
  override name = 'PageError'
  readonly bad: boolean
  constructor(message: string, bad: boolean) {
    super(message)
    this.bad = bad
  }
}

/** A request was given up for a newer one. Nobody needs to be told. */
export class GivenUp extends Error {
  override name = 'GivenUp'
}

type Waiting = {
  resolve(answer: never): void
  reject(error: Error): void
  progress(part: number): void
}

/**
 * One worker, and the promises of what it was asked. A machine that runs cannot be interrupted: to give it up is to end
 * the worker, and the next request starts another.
 */
export class MachineClient {
  private worker: Worker | null = null
  private readonly waiting = new Map<number, Waiting>()
  private lastId = 0

  ask<K extends RequestKind>(
    kind: K,
    ask: Requests[K]['ask'],
    progress: (part: number) => void = () => {},
  ): Promise<Requests[K]['answer']> {
    const id = ++this.lastId
    this.worker ??= this.start()
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, progress })
      this.worker?.postMessage({ id, kind, ...ask } as unknown as Ask)
    })
  }

  get busy(): boolean {
    return this.waiting.size > 0
  }

  /** End what runs and forget what was asked. */
  giveUp(): void {
    this.worker?.terminate()
    this.worker = null
    for (const { reject } of this.waiting.values()) reject(new GivenUp())
    this.waiting.clear()
  }

  private start(): Worker {
    const worker = new MachineWorker({ name: 'machine' })
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const one = this.waiting.get(data.id)
      if (one === undefined) return
      if (data.type === 'progress') return one.progress(data.part)
      this.waiting.delete(data.id)
      if (data.type === 'answer') one.resolve(data.answer as never)
      else one.reject(new PageError(data.message, data.bad))
    }
    worker.onerror = (event) => {
      this.worker = null
      for (const { reject } of this.waiting.values()) {
        reject(new PageError(`the machine ended: ${event.message || 'its worker could not run'}`, false))
      }
      this.waiting.clear()
    }
    return worker
  }
}
