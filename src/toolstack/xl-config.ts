import { BadInput } from '../bits/bad-input.ts'

/** What a domU's configuration says that matters here. */
export type XlConfig = {
  readonly name?: string
  readonly kernel?: string
  readonly ramdisk?: string
  /** MiB. */
  readonly memory?: number
  /** MiB that it may come to have; `memory` when left out. */
  readonly maxmem?: number
  readonly append?: string
  /** What it also says, and what has no meaning for a guest without devices, by name. */
  readonly ignored: readonly string[]
}

type Value = string | Value[]

/** Lists in lists: xl itself has use for two. */
const DEEPEST = 8

/** Words that are of no consequence: they say what is the case anyway. */
const SILENT = new Set([
  'type',
  'builder',
  'name',
  'kernel',
  'ramdisk',
  'memory',
  'maxmem',
  'cmdline',
  'root',
  'extra',
])
/** What a bare word may hold: a number, or what Python once took for a constant. */
const BARE = /[\w.+-]+/y
const BLANK = /\s/
const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' }

/**
 * Read a configuration as xl does (xl.cfg(5)): `name = value`, ended by newlines or semicolons; strings in quotes of either
 * kind, numbers, lists in brackets. Throws BadInput, with the line, for what is none.
 */
export function parseXlConfig(text: string, source: string): XlConfig {
  const values = new Reader(text, source).settings()
  const bad = (why: string): never => {
    throw new BadInput(`${source}: ${why}`)
  }
  const word = (name: string): string | undefined => {
    const value = values.get(name)
    if (value === undefined) return undefined
    return typeof value === 'object' ? bad(`${name} is a list; a string is needed`) : String(value)
  }
  const number = (name: string): number | undefined => {
    const given = word(name)
    if (given === undefined) return undefined
    if (!/^(0x[0-9a-f]+|\d+)$/i.test(given)) bad(`${name} = ${given} is not a whole number`)
    return Number(given)
  }
  const type = word('type') ?? (word('builder') === 'hvm' ? 'hvm' : 'pv')
  if (type !== 'pv') bad(`a guest of type ${type}; only PV guests can run here: type = "pv"`)
  const vcpus = number('vcpus') ?? 1
  if (values.has('bootloader') && !values.has('kernel')) {
    bad('its kernel is to be found by a bootloader on a disk; name the kernel by kernel = "FILE"')
  }
  const [extra, root, commandLine] = [word('extra'), word('root'), word('cmdline')]
  const parts = [root === undefined ? undefined : `root=${root}`, extra].filter((part) => part !== undefined)
  const ignored = [...values.keys()].filter((name) => !SILENT.has(name))
  const [memory, maxmem] = [number('memory'), number('maxmem')]
  const [name, kernel, ramdisk] = [word('name'), word('kernel'), word('ramdisk')]
  const append = commandLine ?? (parts.length > 0 ? parts.join(' ') : undefined)
  return {
    ...(name === undefined ? {} : { name }),
    ...(kernel === undefined ? {} : { kernel }),
    ...(ramdisk === undefined || ramdisk === '' ? {} : { ramdisk }),
    ...(memory === undefined ? {} : { memory }),
    ...(maxmem === undefined ? {} : { maxmem }),
    ...(append === undefined ? {} : { append }),
    ignored: ignored.filter((setting) => setting !== 'vcpus' || vcpus !== 1),
  }
}

/** Reads settings, one after the other. */
class Reader {
  private readonly text: string
  private readonly source: string
  private at = 0

  constructor(text: string, source: string) {
    this.text = text
    this.source = source
  }

  settings(): Map<string, Value> {
    const values = new Map<string, Value>()
    for (this.skip(true); this.at < this.text.length; this.skip(true)) {
      const name = this.match(/[A-Za-z_]\w*/y) ?? this.fail('a name is expected')
      this.skip(false)
      const isMore = this.match(/\+=/y) !== undefined
      if (!isMore && this.match(/=/y) === undefined) this.fail(`${name} has no =`)
      this.skip(false)
      const value = this.value()
      const before = values.get(name)
      values.set(name, isMore && before !== undefined ? joined(before, value) : value)
      this.skip(false)
      if (this.at < this.text.length && this.match(/[\n;]/y) === undefined) {
        this.fail(`the value of ${name} goes on where it should end`)
      }
    }
    return values
  }

  private value(depth = 0): Value {
    const first = this.text[this.at]
    if (first === '"' || first === "'") return this.string(first)
    if (first === '[') return this.list(depth + 1)
    return this.match(BARE) ?? this.fail('a value is expected: a number, "a string" or [ a list ]')
  }

  private list(depth: number): Value[] {
    if (depth > DEEPEST) this.fail('lists lie too deep in lists')
    this.at++
    const values: Value[] = []
    for (;;) {
      this.skip(true)
      if (this.match(/\]/y) !== undefined) return values
      values.push(this.value(depth))
      this.skip(true)
      if (this.match(/,/y) === undefined && this.text[this.at] !== ']') this.fail('a list has no end')
    }
  }

  private string(quote: string): string {
    let value = ''
    for (this.at++; ; this.at++) {
      const c = this.text[this.at]
      if (c === undefined || c === '\n') this.fail(`a string has no closing ${quote}`)
      if (c === quote) break
      if (c !== '\\') value += c
      else {
        const next = this.text[++this.at] ?? ''
        value += ESCAPES[next] ?? next
      }
    }
    this.at++
    return value
  }

  /** Blanks and comments; newlines and semicolons too where they mean nothing. */
  private skip(lines: boolean): void {
    const { text } = this
    for (; this.at < text.length; this.at++) {
      const c = text[this.at]
      if (c === '#') {
        const end = text.indexOf('\n', this.at)
        this.at = end === -1 ? text.length - 1 : end - 1
      } else if (c === '\\' && text[this.at + 1] === '\n') this.at++
      else if (c === '\n' || c === ';' ? !lines : !BLANK.test(c)) return
    }
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    if (found !== undefined) this.at += found.length
    return found
  }

  private fail(why: string): never {
    const line = this.text.slice(0, this.at).split('\n').length
    throw new BadInput(`${this.source}: line ${line}: ${why}; see xl.cfg(5)`)
  }
}

function joined(before: Value, value: Value): Value {
  if (!Array.isArray(before)) return `${before}${String(value)}`
  for (const one of Array.isArray(value) ? value : [value]) before.push(one)
  return before
}
