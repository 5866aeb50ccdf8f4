import { BadInput } from '../../bits/bad-input.ts'
import { type MemoryMap, shippedMaps } from '../../run/maps/maps.ts'
import { MOST_MACHINES, type NumberRange, type Numbers } from './space.ts'

/** What stands for several maps. */
const MAP_SETS: Readonly<Record<string, (map: MemoryMap) => boolean>> = {
  all: () => true,
  hosts: (map) => map.kind === 'host',
  guests: (map) => map.kind === 'guest',
}

/**
 * The axis of maps: names and sets of shipped ones, files, `none`, with commas or without.
 *
 * @param load gives the map in a file
 */
export function mapsOf(
  given: readonly (string | MemoryMap)[],
  load: (name: string) => MemoryMap,
): (string | MemoryMap | null)[] {
  const maps = given.flatMap((one) =>
    typeof one === 'string' ? words([one]).flatMap((word) => mapsNamed(word, load)) : [one],
  )
  return unique(maps)
}

/** A set's maps by their names; `none` is a machine without a map; else a shipped map or a file. */
function mapsNamed(word: string, load: (name: string) => MemoryMap): (string | MemoryMap | null)[] {
  if (word === 'none') return [null]
  const isMember = Object.hasOwn(MAP_SETS, word) ? MAP_SETS[word] : undefined
  if (isMember !== undefined)
    return shippedMaps()
      .filter(isMember)
      .map((map) => map.name)
  const map = load(word)
  return [shippedMaps().includes(map) ? map.name : map]
}

/** What stands in lists that may be written with commas. */
export function words(list: readonly string[]): string[] {
  return list
    .flatMap((text) => text.split(','))
    .map((word) => word.trim())
    .filter((word) => word !== '')
}

/** Each value once, in the order of the first ones. */
export function unique<T>(list: readonly T[]): T[] {
  return [...new Set(list)]
}

/** Values, ranges FROM..TO+STEP, and `own` for what a boot takes by itself. */
export function numbers(
  option: string,
  given: readonly string[] | undefined,
  value: (text: string) => number,
): Numbers {
  if (given === undefined) return [null]
  return words(given).map((word) => {
    if (word === 'own') return null
    const dots = word.indexOf('..')
    return dots === -1 ? value(word) : range(option, word, dots, value)
  })
}

function range(option: string, word: string, dots: number, value: (text: string) => number): NumberRange {
  const plus = word.indexOf('+', dots)
  if (plus === -1)
    throw new BadInput(`${option} '${word}' is a range without a step; write it as in 32M..348M+4M`)
  const from = value(word.slice(0, dots))
  const to = value(word.slice(dots + 2, plus))
  const step = value(word.slice(plus + 1))
  if (to < from) throw new BadInput(`${option} '${word}' ends before it begins; exchange its ends`)
  if (step === 0) throw new BadInput(`${option} '${word}' has no step; give one above 0`)
  if ((to - from) / step > MOST_MACHINES)
    throw new BadInput(`${option} '${word}' has more values than can be counted; take a larger step`)
  return { from, to, step }
}
