import { nearest } from '../bits/bad-input.ts'
import {
  type Argument,
  type Entry,
  type Place,
  parseArgument,
  parseEntry,
  parsePlace,
  parseVa,
} from './operands.ts'
import {
  DOMAIN_WORDS,
  EXT_WORDS,
  MMU_SUFFIXES,
  MOST_CALLS,
  MOST_REQUESTS,
  OTHERS,
  POOL_PAGES,
  PREDEFINED,
  STORES,
  type StoreVerb,
  UVM_FLAGS,
} from './vocabulary.ts'
import { parseNumber, type ScriptError, scriptError } from './words.ts'

/**
 * The script language: one operation a line, `#` begins a comment at a word's start, words are separated by blanks, and
 * `,` and `=` are words of their own. docs/script.md describes it.
 */

/** One request of an mmu_update. */
export type MmuRequest =
  | { readonly kind: 'm2p'; readonly frame: Argument; readonly lo: number; readonly hi: number }
  | { readonly kind: 'entry'; readonly slot: Place; readonly entry: Entry; readonly command: number }

/** One operation of an mmuext_op; `vcpus` is a bitmap that the probe keeps in its own memory. */
export type ExtRequest = {
  readonly command: number
  readonly arg1: Argument | null
  readonly arg2: Argument | null
  readonly vcpus?: 'null' | 'bad' | number
}

/** One call of a multicall; `iret` leaves for user mode. */
export type MultiCall =
  | { readonly kind: 'mmu'; readonly request: MmuRequest }
  | { readonly kind: 'ext'; readonly request: ExtRequest }
  | ({ readonly kind: 'uvm' } & VaUpdate)
  | { readonly kind: 'iret' }

/** Arguments of an update_va_mapping. */
export type VaUpdate = { readonly va: Argument; readonly entry: Entry; readonly flags: number }

export type Operation =
  | { readonly verb: 'page'; readonly names: readonly string[] }
  | { readonly verb: 'sym'; readonly name: string; readonly from: Argument | Place }
  | { readonly verb: 'info'; readonly frames: readonly Argument[] }
  | { readonly verb: 'autoinfo'; readonly on: boolean }
  | { readonly verb: 'echo' }
  | { readonly verb: 'dump'; readonly pages: readonly string[] }
  | { readonly verb: 'remap'; readonly page: string; readonly flags: 'ro' | 'rw' | 'none' }
  | ({ readonly verb: 'uvm' } & VaUpdate)
  | {
      readonly verb: 'store'
      readonly how: StoreVerb
      readonly at: Place
      readonly value: Entry
      readonly second: Entry | null
    }
  | { readonly verb: 'get'; readonly at: Place }
  | { readonly verb: 'mmu'; readonly requests: readonly MmuRequest[] }
  | { readonly verb: 'ext'; readonly requests: readonly ExtRequest[] }
  | { readonly verb: 'multi'; readonly calls: readonly MultiCall[] }
  | { readonly verb: 'gdt'; readonly entries: number; readonly frames: readonly Argument[] }
  | { readonly verb: 'desc'; readonly slot: Place; readonly value: Entry }
  | { readonly verb: 'ldsel'; readonly selector: number }
  | { readonly verb: 'decr'; readonly frame: Argument }
  | { readonly verb: 'incr'; readonly name: string }
  | { readonly verb: 'popp' | 'exch'; readonly page: string }
  | { readonly verb: 'm2p'; readonly frame: Argument }
  | { readonly verb: 'assist'; readonly command: number; readonly type: number }
  | { readonly verb: 'hc'; readonly number: number; readonly args: readonly (Argument | Entry)[] }

/** A line with an operation on it: its number in the file, its text without the comment, and what it says. */
export type ScriptLine = {
  readonly n: number
  readonly text: string
  /** The foreign domain of `dom=`: 32 bits, the high half names the owner of the tables. */
  readonly domain: number | null
  readonly op: Operation | null
  /** What is wrong with the line; then there is no operation. */
  readonly error: string | null
}

/** More bad lines than any script has: what is beyond is not read. */
const MOST_BAD_LINES = 1000

/** Read a whole script. A line that cannot be read carries its error; the caller decides whether that ends it. */
export function parseScript(text: string): ScriptLine[] {
  const names = new Set<string>(PREDEFINED)
  const pool = { used: 0 }
  const lines: ScriptLine[] = []
  let bad = 0
  for (const [i, line] of text.split('\n').entries()) {
    const words = wordsOf(line)
    if (words.length === 0) continue
    const read = parseLine(i + 1, line.replace(/\s#.*/s, '').trim(), words, names, pool)
    lines.push(read)
    if (read.error !== null && ++bad === MOST_BAD_LINES) break
  }
  return lines
}

function wordsOf(line: string): string[] {
  const words: string[] = []
  for (const word of line.match(/[,=]|[^ \t\r,=]+/g) ?? []) {
    if (word.startsWith('#')) break
    words.push(word)
  }
  return words
}

function parseLine(
  n: number,
  text: string,
  words: string[],
  names: Set<string>,
  pool: { used: number },
): ScriptLine {
  try {
    let domain: number | null = null
    if (words.length >= 3 && words.at(-3) === 'dom') {
      const word = words.at(-1) as string
      domain = DOMAIN_WORDS[word] ?? parseNumber(word, 'IO, XEN, SELF or a number').lo
      words = words.slice(0, -3)
    }
    const reader = new Reader(words, names, pool)
    const op = reader.operation()
    return { n, text, domain, op, error: null }
  } catch (error) {
    if (!isScriptError(error)) throw error
    return { n, text, domain: null, op: null, error: error.message }
  }
}

function isScriptError(error: unknown): error is ScriptError {
  return error instanceof Error && error.name === 'ScriptError'
}

/** The words of one line, taken from left to right. */
class Reader {
  private at = 0
  private readonly words: readonly string[]
  private readonly names: Set<string>
  private readonly pool: { used: number }

  constructor(words: readonly string[], names: Set<string>, pool: { used: number }) {
    this.words = words
    this.names = names
    this.pool = pool
  }

  private get more(): boolean {
    return this.at < this.words.length
  }

  private next(expected: string): string {
    if (!this.more)
      throw scriptError(`the line ends after '${this.words[this.at - 1]}'; ${expected} is missing`)
    return this.words[this.at++]
  }

  private accept(word: string): boolean {
    if (this.words[this.at] !== word) return false
    this.at++
    return true
  }

  private number(expected: string): number {
    return parseNumber(this.next(expected), expected).lo
  }

  private page(): string {
    const word = this.next('a page')
    const name = word.startsWith('$') ? word.slice(1) : word
    if (!this.names.has(name)) throw this.unknown(name)
    return name
  }

  private unknown(name: string): ScriptError {
    const guess = nearest(name, this.names)
    return scriptError(
      `'${name}' is no page; ${guess ? `did you mean ${guess}?` : 'define it with: page NAME'}`,
    )
  }

  private argument(): Argument {
    return parseArgument(this.next('a frame: a page, m:HEX or a number'), this.names)
  }

  private va(): Argument {
    return parseVa(this.next('an address: @PAGE, W0, V:4.3.2.1 or a number'), this.names)
  }

  private entry(): Entry {
    return parseEntry(this.next('an entry, as in A|P|RW'), this.names)
  }

  private place(): Place {
    return parsePlace(this.next('a slot, as in A[5], or an address'), this.names)
  }

  operation(): Operation {
    const op = this.read()
    if (this.more) throw scriptError(`'${this.words[this.at]}' is one word too many`)
    return op
  }

  private read(): Operation {
    const verb = this.next('an operation')
    if ((STORES as readonly string[]).includes(verb)) return this.store(verb as StoreVerb)
    if (EXT_WORDS.includes(verb)) return this.ext(verb)
    switch (verb) {
      case 'page':
      case 'pages':
        return this.pages(verb)
      case 'sym':
        return this.sym()
      case 'info': {
        const frames: Argument[] = []
        while (this.more) frames.push(this.argument())
        return { verb, frames }
      }
      case 'autoinfo': {
        const word = this.next('on or off')
        if (word !== 'on' && word !== 'off') throw scriptError(`'${word}' is neither on nor off`)
        return { verb, on: word === 'on' }
      }
      case 'echo':
        this.at = this.words.length
        return { verb }
      case 'dump': {
        const pages = [this.page()]
        while (this.more) pages.push(this.page())
        return { verb, pages }
      }
      case 'ro':
      case 'rw':
        return { verb: 'remap', page: this.page(), flags: verb }
      case 'unmap':
        return { verb: 'remap', page: this.page(), flags: 'none' }
      case 'uvm':
        return { verb, ...this.vaUpdate() }
      case 'get':
        return { verb, at: this.place() }
      case 'mmu':
        return this.mmu()
      case 'multi':
        return this.multi()
      case 'gdt': {
        const entries = this.number('a number of entries')
        const frames: Argument[] = []
        while (this.more && frames.length < 16) frames.push(this.argument())
        return { verb, entries, frames }
      }
      case 'desc': {
        const slot = this.place()
        this.accept('=')
        return { verb, slot, value: this.entry() }
      }
      case 'ldsel':
        return { verb, selector: this.number('a selector') }
      case 'decr':
      case 'm2p':
        return { verb, frame: this.argument() }
      case 'incr': {
        const name = this.newName()
        this.names.add(name)
        return { verb, name }
      }
      case 'popp':
      case 'exch':
        return { verb, page: this.page() }
      case 'assist':
        return { verb, command: this.number('0 or 1'), type: this.number('a type') }
      case 'hc': {
        const number = this.number('a hypercall number')
        const args: (Argument | Entry)[] = []
        while (this.more && args.length < 5) {
          const word = this.next('')
          args.push(word.startsWith('@') ? parseVa(word, this.names) : parseEntry(word, this.names))
        }
        return { verb, number, args }
      }
    }
    const guess = nearest(verb, [...OTHERS, ...STORES, ...EXT_WORDS])
    throw scriptError(`'${verb}' is no operation${guess ? `; did you mean ${guess}?` : ''}`)
  }

  private newName(): string {
    const name = this.next('a name')
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,14}$/.test(name)) {
      throw scriptError(`'${name}' is no name; write up to 15 letters and digits, a letter first`)
    }
    return name
  }

  private pages(verb: 'page' | 'pages'): Operation {
    const names: string[] = []
    if (verb === 'page') {
      names.push(this.newName())
      while (this.more) names.push(this.newName())
    } else {
      const base = this.newName()
      const count = this.number('a number of pages')
      for (let i = 0; i < Math.min(count, POOL_PAGES + 1); i++) names.push(`${base}${i}`)
    }
    this.pool.used += names.length
    if (this.pool.used > POOL_PAGES) throw scriptError(`there are ${POOL_PAGES} scratch pages, no more`)
    for (const name of names) this.names.add(name)
    return { verb: 'page', names }
  }

  private sym(): Operation {
    const name = this.newName()
    this.accept('=')
    const word = this.next('m:HEX or TABLE[slot]')
    const from = word.startsWith('m:') ? parseArgument(word, this.names) : parsePlace(word, this.names)
    this.names.add(name)
    return { verb: 'sym', name, from }
  }

  private store(how: StoreVerb): Operation {
    const at = this.place()
    this.accept('=')
    const value = this.entry()
    const second = how === 'cas' || how === 'cas4' || how === 'set16' ? this.entry() : null
    return { verb: 'store', how, at, value, second }
  }

  private mmu(): Operation {
    const requests: MmuRequest[] = []
    do {
      if (requests.length === MOST_REQUESTS)
        throw scriptError(`one call takes ${MOST_REQUESTS} requests at most`)
      requests.push(this.mmuRequest())
    } while (this.accept(','))
    return { verb: 'mmu', requests }
  }

  private mmuRequest(): MmuRequest {
    if (this.accept('m2p')) {
      const frame = this.argument()
      this.accept('=')
      const { lo, hi } = parseNumber(this.next('a pfn'), 'a pfn')
      return { kind: 'm2p', frame, lo, hi }
    }
    const slot = parsePlace(this.next('a slot, as in A[5], or ma:ADDRESS'), this.names, 'ma')
    this.accept('=')
    const entry = this.entry()
    const command = MMU_SUFFIXES[this.words[this.at]] ?? 0
    if (command !== 0) this.at++
    return { kind: 'entry', slot, entry, command }
  }

  private vaUpdate(): VaUpdate {
    const va = this.va()
    this.accept('=')
    const entry = this.entry()
    const isLast = !this.more || this.words[this.at] === ','
    const flags = isLast ? UVM_FLAGS.inv : UVM_FLAGS[this.next('a flush')]
    if (flags === undefined) throw scriptError(`a flush is none, tlb, inv, tlball or invall`)
    return { va, entry, flags }
  }

  private multi(): Operation {
    const calls: MultiCall[] = []
    do {
      if (calls.length === MOST_CALLS) throw scriptError(`one multicall takes ${MOST_CALLS} calls at most`)
      calls.push(this.multiCall())
    } while (this.accept(','))
    return { verb: 'multi', calls }
  }

  private multiCall(): MultiCall {
    const word = this.next('a call: mmu, uvm, iret or an operation of mmuext_op')
    if (word === 'mmu') return { kind: 'mmu', request: this.mmuRequest() }
    if (word === 'uvm') return { kind: 'uvm', ...this.vaUpdate() }
    if (word === 'iret') return { kind: 'iret' }
    if (EXT_WORDS.includes(word)) return { kind: 'ext', request: this.extRequest(word) }
    const guess = nearest(word, ['mmu', 'uvm', 'iret', ...EXT_WORDS])
    throw scriptError(`'${word}' is no call of a multicall${guess ? `; did you mean ${guess}?` : ''}`)
  }

  private ext(first: string): Operation {
    const requests: ExtRequest[] = [this.extRequest(first)]
    while (this.accept(',')) {
      if (requests.length === MOST_REQUESTS)
        throw scriptError(`one call takes ${MOST_REQUESTS} requests at most`)
      const word = this.next('an operation of mmuext_op')
      if (!EXT_WORDS.includes(word)) {
        const guess = nearest(word, EXT_WORDS)
        throw scriptError(`'${word}' is no operation of mmuext_op${guess ? `; did you mean ${guess}?` : ''}`)
      }
      requests.push(this.extRequest(word))
    }
    return { verb: 'ext', requests }
  }

  private extRequest(word: string): ExtRequest {
    const command = EXT_WORDS.indexOf(word)
    const none = { command, arg1: null, arg2: null }
    switch (word) {
      case 'ext':
        return { command: this.number('a command'), arg1: this.argument(), arg2: this.argument() }
      case 'copy':
        return { command, arg1: this.argument(), arg2: this.argument() }
      case 'setldt':
        return { command, arg1: this.va(), arg2: this.argument() }
      case 'invlocal':
      case 'invall':
        return { command, arg1: this.va(), arg2: null }
      case 'invmulti':
        return { command, arg1: this.va(), arg2: null, vcpus: this.vcpus() }
      case 'tlbmulti':
        return { ...none, vcpus: this.vcpus() }
      case 'tlblocal':
      case 'tlball':
      case 'flushcache':
      case 'flushcacheg':
      case 'ext14':
        return none
      default:
        return { command, arg1: this.argument(), arg2: null }
    }
  }

  private vcpus(): 'null' | 'bad' | number {
    const word = this.next('a bitmap of vCPUs, null or bad')
    return word === 'null' || word === 'bad' ? word : parseNumber(word, 'a bitmap, null or bad').lo
  }
}
