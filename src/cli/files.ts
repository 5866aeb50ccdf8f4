import { existsSync } from 'node:fs'
import { readText } from '../files/read.ts'
import { lineWriter } from '../files/write.ts'
import { findMap, type MemoryMap, parseMap, shippedMaps } from '../run/maps/maps.ts'

/** The shipped map of that name; else the map in the file of that name, as `read` gives it; `-` reads standard input. */
export function loadMap(nameOrFile: string, read: (file: string) => string = readText): MemoryMap {
  if (nameOrFile === '-') return parseMap(read('-'), 'standard input')
  const shipped = shippedMaps().find((map) => map.name === nameOrFile)
  if (shipped !== undefined) return shipped
  if (existsSync(nameOrFile) || looksLikeFile(nameOrFile)) return parseMap(read(nameOrFile), nameOrFile)
  return findMap(nameOrFile)
}

/** A separator or an ending: nobody means a shipped map by that. */
function looksLikeFile(word: string): boolean {
  return /[/\\]|\.(json|log|txt|out|map)$/i.test(word)
}

/** Run something that writes a trace, if a file is named for it: whole, or not at all when the run fails. */
export function withTrace<T>(
  file: string | undefined,
  run: (line: ((text: string) => void) | undefined) => T,
): T {
  if (file === undefined) return run(undefined)
  const trace = lineWriter(file)
  let result: T
  try {
    result = run((text) => trace.line(text))
  } catch (error) {
    trace.abandon()
    throw error
  }
  trace.finish()
  return result
}
