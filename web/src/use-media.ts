import { useEffect, useState } from 'preact/hooks'

/** Whether a media query holds, now and whenever that changes. */
export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const list = matchMedia(query)
    const follow = (): void => setMatches(list.matches)
    list.addEventListener('change', follow)
    return () => list.removeEventListener('change', follow)
  }, [query])
  return matches
}

/** The size of an element in CSS pixels, and the device pixels of one. */
export type Box = { readonly width: number; readonly height: number; readonly scale: number }

export function useBox(element: { readonly current: HTMLElement | null }): Box {
  const [box, setBox] = useState<Box>({ width: 0, height: 0, scale: 1 })
  useEffect(() => {
    const target = element.current
    if (target === null) return
    const measure = (): void => {
      const { clientWidth: width, clientHeight: height } = target
      const scale = devicePixelRatio || 1
      setBox((before) =>
        before.width === width && before.height === height && before.scale === scale
          ? before
          : { width, height, scale },
      )
    }
    const observer = new ResizeObserver(measure)
    observer.observe(target)
    measure()
    return () => observer.disconnect()
  }, [element])
  return box
}
