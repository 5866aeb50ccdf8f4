import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FileSystem, fileSystem } from '../../src/files/file-system.ts'

const base = mkdtempSync(join(tmpdir(), 'xenolith-files-'))
process.once('exit', () => rmSync(base, { recursive: true, force: true }))
let folders = 0

/** A new folder with a file `old` in it, which goes when the tests are over. */
export function folderWithFile(): string {
  const path = join(base, String(folders++))
  mkdirSync(path)
  writeFileSync(join(path, 'old'), 'old content')
  return path
}

/** One failure of the file system: the n-th call that is made while something runs. */
export type Failure = {
  /** Which call it was: `open 1`. */
  readonly call: string
  /** Whether so many calls were made at all. */
  readonly happened: boolean
  /** Runs something during which the call fails. */
  during<T>(action: () => T): T
}

/**
 * Failures without an end: of the first call, of the second, and so on. Who has seen one that did not happen has seen them
 * all.
 */
export function* failingCalls(code = 'EIO'): Generator<Failure> {
  for (let nth = 1; ; nth++) yield failureOf(nth, code)
}

function failureOf(nth: number, code: string): Failure {
  let calls = 0
  let call = 'none'
  const failing = (name: string, real: (...args: never[]) => unknown) =>
    ((...args: never[]) => {
      if (++calls !== nth) return real(...args)
      call = `${name} ${nth}`
      // A descriptor is given back whatever its closing says.
      if (name === 'close') real(...args)
      throw Object.assign(new Error(`${name} fails`), { code })
    }) as never
  return {
    get call() {
      return call
    },
    get happened() {
      return call !== 'none'
    },
    during(action) {
      const real: FileSystem = { ...fileSystem }
      for (const [name, function_] of Object.entries(real)) {
        fileSystem[name as keyof FileSystem] = failing(name, function_)
      }
      const putBack = () => Object.assign(fileSystem, real)
      let isAsync = false
      try {
        const result = action()
        if (result instanceof Promise) {
          isAsync = true
          return result.finally(putBack) as typeof result
        }
        return result
      } finally {
        if (!isAsync) putBack()
      }
    },
  }
}
