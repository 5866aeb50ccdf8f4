import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { linkOf, type PageState, stateOf } from './link.ts'

/** Milliseconds that the address lags behind, so that scrubbing does not write it at every step. */
const LAG = 250

/** The page's state and its address, kept the same. */
export function usePageState(): [PageState, (change: Partial<PageState>) => void, string | null] {
  const [first] = useState(() => stateOf(location.hash))
  const [state, setState] = useState(first.state)
  const [problem, setProblem] = useState(first.problem)
  const written = useRef(location.hash)

  useEffect(() => {
    const timer = setTimeout(() => {
      const link = `#${linkOf(state)}`
      if (link === written.current) return
      written.current = link
      history.replaceState(null, '', link)
    }, LAG)
    return () => clearTimeout(timer)
  }, [state])

  useEffect(() => {
    const follow = (): void => {
      if (location.hash === written.current) return
      written.current = location.hash
      const read = stateOf(location.hash)
      setState(read.state)
      setProblem(read.problem)
    }
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])

  const change = useCallback((part: Partial<PageState>) => setState((before) => ({ ...before, ...part })), [])
  return [state, change, problem]
}
