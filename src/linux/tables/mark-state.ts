/** What mark_rw_past_pgt() remembers from one call to the next. */
export type MarkState = {
  /** `end` of the last tail that was released, or 0: Linux's __last_pgt_set_rw. */
  lastRw: number
  /** The buffer it knows, pfns: __pgt_buf_start, __pgt_buf_end, __pgt_buf_top. */
  s: number
  e: number
  t: number
  /** What the last call saw and did, to report a run of equal calls once. */
  seen: string
  /** Who made it; empty when none is being counted. */
  seenSite: string
  times: number
  /** memblock's version and buffer at the last call that changed nothing: the next equal call cannot either. */
  quietVersion: number
  quietEnd: number
  quietStart: number
}

/** Before its first call. */
export function newMarkState(): MarkState {
  return {
    lastRw: 0,
    s: 0,
    e: 0,
    t: 0,
    seen: '',
    seenSite: '',
    times: 0,
    quietVersion: -1,
    quietEnd: -1,
    quietStart: -1,
  }
}
