/** Ticks of a counter of `hertz` after so many nanoseconds: whole seconds first, as the product would not be exact. */
export function ticksOf(nanoseconds: number, hertz: number): number {
  const seconds = Math.floor(nanoseconds / 1e9)
  return seconds * hertz + Math.floor(((nanoseconds - seconds * 1e9) * hertz) / 1e9)
}
