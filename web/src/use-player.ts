import { useState } from 'preact/hooks'
import type { Film, Step } from '../../src/run/film/film.ts'
import type { Action } from './keys.tsx'
import { usePlay } from './play.ts'
import { useMedia } from './use-media.ts'

/** The ways through a film, as the timeline and the keys have them. */
export type Player = {
  readonly playing: boolean
  readonly speed: number
  readonly setSpeed: (speed: number) => void
  readonly play: () => void
  readonly step: (step: Step, way: 1 | -1) => void
  /** Go to an event. */
  readonly goTo: (event: number) => void
  /** The same by hand, which stops what plays. */
  readonly scrub: (event: number) => void
  readonly actions: Partial<Record<Action, () => void>>
}

/**
 * Moves through a film whose present event is kept elsewhere.
 *
 * @param options.pause where playing stops, if that is still to come; from there on it goes to the end
 * @param options.jump where the key for the moment that matters leads
 */
export function usePlayer(options: {
  film: Film
  event: number
  pause: number | null
  jump: number
  move: (event: number) => void
}): Player {
  const { film, event, pause, jump, move } = options
  const calm = useMedia('(prefers-reduced-motion: reduce)')
  const [playing, setPlaying] = useState(false)
  const [speed, setSpeed] = useState(1)

  const goTo = (n: number): void => move(Math.max(0, Math.min(film.events, n)))
  const scrub = (n: number): void => {
    setPlaying(false)
    goTo(n)
  }
  const step = (one: Step, way: 1 | -1): void => scrub(film.next(one, way))
  const play = (): void => {
    if (!playing && event === film.events) goTo(0)
    setPlaying(!playing)
  }
  const end = pause !== null && event < pause ? pause : film.events
  const stop = (): void => setPlaying(false)
  usePlay({ playing, speed, events: film.events, at: event, end, calm, move: goTo, stop })

  const actions: Player['actions'] = {
    play,
    'event+': () => step('event', 1),
    'event-': () => step('event', -1),
    'hypercall+': () => step('hypercall', 1),
    'hypercall-': () => step('hypercall', -1),
    'entry+': () => step('entry', 1),
    'entry-': () => step('entry', -1),
    'region+': () => step('region', 1),
    'region-': () => step('region', -1),
    first: () => scrub(0),
    last: () => scrub(film.events),
    jump: () => scrub(jump),
  }
  return { playing, speed, setSpeed, play, step, goTo, scrub, actions }
}
