import { rmSync } from 'node:fs'

/** What stops each emulator that runs, and its folder: none may outlive this process. */
const running = new Map<() => void, string>()
let isWatching = false

/** From now on an emulator is stopped, and its folder removed, when this process ends. Call what is returned when it has ended itself. */
export function endWithProcess(stop: () => void, folder: string): () => void {
  running.set(stop, folder)
  if (!isWatching) watchForSignals()
  isWatching = true
  return () => running.delete(stop)
}

function watchForSignals(): void {
  const clean = (): void => {
    for (const [stop, folder] of running) {
      stop()
      rmSync(folder, { recursive: true, force: true })
    }
    running.clear()
  }
  process.on('exit', clean)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      clean()
      process.kill(process.pid, signal)
    })
  }
}
