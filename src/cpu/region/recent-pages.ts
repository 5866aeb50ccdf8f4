import type { Local } from '../../wasm/wasm-module.ts'
import { type I32, type I64, i64 } from '../../wasm/wasm-values.ts'
import type { CoreEmitter } from '../emit/core-emitter.ts'
import type { Access } from '../semantics/emitter.ts'

/**
 * Pages that a region has looked up in the TLB, in variables: for each register that addresses are made from the last one that
 * was read, and the last one that was stored to. Nothing changes the TLB while a region runs, so that an access to the same
 * page needs no second look. Structures, stacks and arrays mostly lie in the page of the last access.
 *
 *     page    its address, or -1, which no address is after the mask below
 *     bias    what added to an address in it gives the place in WebAssembly's memory, both cut to 32 bits
 */
export type RecentPage = { readonly key: number; readonly page: Local<I64>; readonly bias: Local<I32> }

export class RecentPages {
  private readonly e: CoreEmitter
  private readonly pages = new Map<number, RecentPage>()
  /** Those that may have been looked up where code is being written; null is all. */
  kept: ReadonlySet<number> | null = new Set()

  constructor(e: CoreEmitter) {
    this.e = e
  }

  /** @param via what the address is made from: any number for each */
  of(via: number, access: Access): RecentPage {
    const key = via * 2 + (access === 'read' ? 0 : 1)
    const known = this.pages.get(key)
    if (known !== undefined) return known
    const made = { key, page: this.e.local<I64>('i64'), bias: this.e.local<I32>('i32') }
    this.pages.set(key, made)
    return made
  }

  mayBeKept({ key }: RecentPage): boolean {
    return this.kept?.has(key) ?? true
  }

  /** Whether the bytes lie elsewhere, or are not aligned, so that they may reach into another page. */
  isOther({ page }: RecentPage, at: I64, bytes: number): I32 {
    return at.and(-4096 | (bytes - 1)).ne(page.value)
  }

  keep({ key, page, bias }: RecentPage, at: I64, hostPage: I32): void {
    const { e } = this
    e.set(page, at.and(-4096))
    e.set(bias, hostPage.sub(at.wrap().and(-4096)))
    if (this.kept !== null) this.kept = new Set(this.kept).add(key)
  }

  host({ bias }: RecentPage, at: I64): I32 {
    return at.wrap().add(bias.value)
  }

  /** Set all to none, by statements before all others. */
  prepare(set: (local: Local<I64>, value: I64) => void): void {
    for (const { page } of this.pages.values()) set(page, i64(-1))
  }
}
