import { type PieceTask, runPiece } from './job.ts'

/** A thread of a pool: carries out one piece of a job after the other. */
export default function work(task: PieceTask): Promise<unknown> {
  return runPiece(task)
}
