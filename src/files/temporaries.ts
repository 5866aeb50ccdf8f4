import { BroadcastChannel, isMainThread } from 'node:worker_threads'
import { fileSystem } from './file-system.ts'

/**
 * Files of ours that are not in their place yet. They go when the process does, however that comes about but by a signal
 * that nobody hears; and when the thread that writes them is ended, which the first thread sees to.
 */
const begun = new Set<string>()
const CHANNEL = 'xenolith temporaries'

type News = { readonly path: string; readonly isBegun: boolean }

let channel: BroadcastChannel | null = null
let watchesExit = false

/** A file has been made. */
export function begin(path: string): void {
  begun.add(path)
  tell({ path, isBegun: true })
  if (watchesExit) return
  watchesExit = true
  process.once('exit', () => removeAll(begun))
}

/** It has taken its place. */
export function end(path: string): void {
  begun.delete(path)
  tell({ path, isBegun: false })
}

/** It is not wanted. Throws what the system says. */
export function discard(path: string): void {
  if (!begun.has(path)) return
  fileSystem.remove(path)
  end(path)
}

/** A thread that is ended is not asked: the first one knows what it has begun. */
function tell(news: News): void {
  if (isMainThread) return
  if (channel === null) {
    channel = new BroadcastChannel(CHANNEL)
    channel.unref()
  }
  channel.postMessage(news)
}

/** Hear what other threads begin. Returns how to remove what they have not put in its place, when they are over. */
export function watchThreads(): () => void {
  const theirs = new Set<string>()
  const listener = new BroadcastChannel(CHANNEL)
  listener.unref()
  listener.onmessage = (event) => {
    const { path, isBegun } = (event as { data: News }).data
    if (isBegun) theirs.add(path)
    else theirs.delete(path)
  }
  return () => {
    listener.close()
    removeAll(theirs)
  }
}

function removeAll(paths: Set<string>): void {
  for (const path of paths) {
    try {
      fileSystem.remove(path)
    } catch {}
  }
  paths.clear()
}
