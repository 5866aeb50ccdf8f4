/**
 * The trace: what happened on a machine, one plain object an event. It is the public contract between the machine and
 * whatever looks at it; docs/trace.md lists the fields. Frames are numbers here and `0x` strings in a file.
 */
export const TRACE_SCHEMA = 1

export type TraceEvent =
  /** A line on the console. `log` lines are the kernel's own printk, shown on the console or not. */
  | { readonly kind: 'console'; readonly source: 'guest' | 'log' | 'xen'; readonly text: string }
  /** An operation of a script begins: its line. */
  | { readonly kind: 'op'; readonly line: number; readonly text: string }
  /** A hypercall or one request of a batch, finished. `rc` is its result. */
  | {
      readonly kind: 'hypercall'
      readonly name: string
      readonly rc: number
      readonly args: Record<string, unknown>
    }
  /** Xen began or ceased to treat a frame as a table; `from` and `to` are type names. */
  | { readonly kind: 'type'; readonly mfn: number; readonly from: string; readonly to: string }
  /** A run of plain stores into one frame: `count` entries from `slot` on, the first of which is given. */
  | {
      readonly kind: 'fill'
      readonly table: number
      readonly slot: number
      readonly count: number
      readonly lo: number
      readonly hi: number
    }
  /** A store to a table in use that Xen carried out (writable page tables), or refused. */
  | {
      readonly kind: 'ptwr'
      readonly table: number
      readonly slot: number
      readonly lo: number
      readonly hi: number
      readonly refused: boolean
    }
  /** A page fault that went to the guest. */
  | { readonly kind: 'fault'; readonly va: number; readonly error: number }
  /** Something the model kernel did, in the kernel's own words. */
  | { readonly kind: 'linux'; readonly what: string; readonly args: Record<string, unknown> }

/** Where events go. Nothing is built when there is none. */
export type Sink = (event: TraceEvent) => void
