import { HYPERCALL } from '../../src/xen/abi.ts'
import { consoleText, type MadeCall } from './roles.ts'

/** What Linux prints before its first process runs. */
export const INIT_LINE = 'as init process'
/** Of what was written to the console, the end, which may have half of that line. */
const KEPT_TEXT = 4096

/** A call of which no result is waited for: it leaves for where the stack that it reads says. */
const LEAVES: readonly number[] = [HYPERCALL.iret]

/**
 * Collects a kernel's hypercalls in the order in which they are made, and their results as they come. A call does not come back in
 * order: events enter the kernel before it, and other tasks run. Each task has its stack, so the stack pointer says whose call has
 * come back.
 */
export class CallLog {
  readonly calls: MadeCall[] = []
  private readonly open = new Map<bigint, number>()
  private text = ''
  /** Whether the kernel has come to its first process. */
  isOver = false

  /** A call is made. One that Xen has put off is made again, by what is left of it: it stays the call that it was. */
  made(stack: bigint, call: Omit<MadeCall, 'rc'>): void {
    const before = this.open.get(stack)
    if (before !== undefined && this.calls[before].nr === call.nr) return
    if (!LEAVES.includes(call.nr)) this.open.set(stack, this.calls.length)
    const made = { ...call, rc: null }
    this.calls.push(made)
    this.text = (this.text + consoleText(made)).slice(-KEPT_TEXT)
    this.isOver ||= this.text.includes(INIT_LINE)
  }

  /** The call of that stack has come back with a result, signed. */
  returned(stack: bigint, rc: number): void {
    const index = this.open.get(stack)
    if (index === undefined) return
    this.open.delete(stack)
    this.calls[index] = { ...this.calls[index], rc }
  }
}
