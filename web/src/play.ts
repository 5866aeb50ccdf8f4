import { useEffect, useRef } from 'preact/hooks'

/** Milliseconds in which a boot plays from end to end at speed 1, whatever its length. */
const WHOLE = 15_000
/** With reduced motion the picture changes this seldom: nothing flickers. */
const CALM = 600

/**
 * Moves an event forward while `playing`, to `end` at most. `at` and `move` are asked anew at every frame, as the reader
 * may scrub meanwhile.
 */
export function usePlay(options: {
  playing: boolean
  speed: number
  events: number
  at: number
  end: number
  calm: boolean
  move: (event: number) => void
  stop: () => void
}): void {
  const latest = useRef(options)
  latest.current = options
  const { playing } = options
  useEffect(() => {
    if (!playing) return
    let handle = 0
    let last = performance.now()
    let exact = latest.current.at
    const tick = (now: number): void => {
      const { speed, events, at, end, calm, move, stop } = latest.current
      const isEarly = calm && now - last < CALM
      if (isEarly) {
        handle = requestAnimationFrame(tick)
        return
      }
      if (Math.round(exact) !== at) exact = at
      exact += ((now - last) * speed * events) / WHOLE
      last = now
      if (exact >= end) {
        move(end)
        stop()
        return
      }
      if (Math.round(exact) !== at) move(Math.round(exact))
      handle = requestAnimationFrame(tick)
    }
    handle = requestAnimationFrame(tick)
    return () => cancelAnimationFrame(handle)
  }, [playing])
}
