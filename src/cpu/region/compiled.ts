/** What a core has compiled so far. */
export type Compiled = {
  /** Blocks of instructions, one that is compiled into two regions twice. */
  blocks: number
  regions: number
  /** Bytes of the modules that are kept. */
  bytes: number
  /** Time that making them took. */
  milliseconds: number
}
