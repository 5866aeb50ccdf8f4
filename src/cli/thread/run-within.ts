import type { Io } from '../io.ts'
import { supervise, wallLimit } from './supervisor.ts'
import type { Start } from './thread.ts'

/** Exit status of what was ended by `--wall`. */
const NO_MORE_TIME = 7

/** Do what makes an exit status on another thread, for so many seconds of the wall clock at most. Throws BadInput. */
export async function runWithin(
  { task, options, wall }: { task: Start['task']; options: unknown; wall: string },
  io: Io,
): Promise<number> {
  const ending = await supervise<number>({
    task,
    options,
    colour: io.colour,
    wall: wallLimit(wall),
    listens: false,
  })
  if (ending.value !== null) return ending.value
  if (ending.isUnread) return 0
  io.err(`xenolith: ended by --wall, after ${wall} s`)
  return NO_MORE_TIME
}
