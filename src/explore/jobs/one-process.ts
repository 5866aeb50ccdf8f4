import type { PieceTask } from './job.ts'
import { openPool, type Pool } from './pool.ts'

/** Carries each piece out in a process of its own, which may die of it: that is an error like any other. */
export const oneProcess: Pool<PieceTask, unknown> = {
  threads: 1,
  async run(task) {
    const pool = openPool<PieceTask, unknown>('./piece-worker', import.meta, 1, 'child_process')
    try {
      return await pool.run(task)
    } finally {
      await pool.close()
    }
  },
  async close() {},
}
