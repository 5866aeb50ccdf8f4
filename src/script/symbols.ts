/** A page or frame with a name. */
export type ScriptSymbol = {
  readonly name: string
  mfn: number
  /** Its pfn, or -1. */
  pfn: number
  /** Its address in the direct map, or 0 when it has none. */
  va: number
  /** A scratch page: `info` without arguments shows it. */
  pool: boolean
}

/** The names of a script, in the order of their making. */
export class Symbols {
  readonly all: ScriptSymbol[] = []
  private readonly byName = new Map<string, ScriptSymbol>()
  /** Told whenever a name gets a frame, or another one. */
  private readonly onChange: (symbol: ScriptSymbol) => void

  constructor(onChange: (symbol: ScriptSymbol) => void) {
    this.onChange = onChange
  }

  find(name: string): ScriptSymbol | undefined {
    return this.byName.get(name)
  }

  set(name: string, mfn: number, pfn: number, va: number, pool: boolean): ScriptSymbol {
    let symbol = this.byName.get(name)
    if (symbol === undefined) {
      symbol = { name, mfn, pfn, va, pool }
      this.byName.set(name, symbol)
      this.all.push(symbol)
    } else Object.assign(symbol, { mfn, pfn, va, pool })
    this.onChange(symbol)
    return symbol
  }

  move(symbol: ScriptSymbol, mfn: number): void {
    symbol.mfn = mfn
    this.onChange(symbol)
  }
}
