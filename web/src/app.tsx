import { useEffect, useRef, useState } from 'preact/hooks'
import { KeySheet, useKeys } from './keys.tsx'
import type { Theme, View } from './link.ts'
import { GivenUp, MachineClient } from './machine-client.ts'
import type { Catalogue } from './messages.ts'
import { useFilm } from './use-film.ts'
import { useMedia } from './use-media.ts'
import { usePageState } from './use-page-state.ts'
import { BootView } from './views/boot-view.tsx'
import { CompareView } from './views/compare-view.tsx'
import { ExplainView } from './views/explain-view.tsx'

const VIEWS: readonly { view: View; title: string }[] = [
  { view: 'boot', title: 'Boot' },
  { view: 'compare', title: 'Side by side' },
  { view: 'explain', title: 'Explain' },
]

/** Milliseconds for which a line is shown that goes away by itself. */
const SHOWN = 4000

/** The page: three views over machines that run in workers. */
export function App() {
  const [state, change, problem] = usePageState()
  const [keys, setKeys] = useState(false)
  const [note, setNote] = useState('')
  const [catalogue, setCatalogue] = useState<Catalogue | null>(null)
  // A worker each for the boot, for the one beside it, and for logs; it starts when it is first asked.
  const [clients] = useState(() => [new MachineClient(), new MachineClient(), new MachineClient()] as const)
  const [first, second, reader] = clients

  const isDark = useMedia('(prefers-color-scheme: dark)')
  const scheme = state.theme === 'auto' ? (isDark ? 'dark' : 'light') : state.theme
  useEffect(() => {
    document.documentElement.dataset.theme = scheme
  }, [scheme])

  const filming = useFilm(first, state.view === 'explain' ? null : state.machine)
  // Asked for when the first boot is over: what the form offers can wait for that.
  const isIdle = filming.film !== null || filming.error !== null || state.view === 'explain'
  const [tries, setTries] = useState(0)
  useEffect(() => {
    if (!isIdle || catalogue !== null) return
    first.ask('catalogue', {}).then(setCatalogue, (error) => {
      // A boot came in between.
      if (error instanceof GivenUp) setTries(tries + 1)
    })
  }, [first, isIdle, catalogue, tries])

  const timer = useRef(0)
  const say = (line: string): void => {
    setNote(line)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => setNote(''), SHOWN)
  }
  useKeys((action) => {
    if (action === 'keys') setKeys(true)
    else if (action === 'boot' || action === 'compare' || action === 'explain') change({ view: action })
    else return false
    return true
  })

  const shared = { client: first, catalogue, filming, state, scheme, change, say } as const
  return (
    <>
      <header>
        <h1>Xenolith</h1>
        <nav aria-label="Views">
          {VIEWS.map(({ view, title }, i) => (
            <button
              type="button"
              key={view}
              title={String(i + 1)}
              aria-current={state.view === view ? 'page' : undefined}
              onClick={() => change({ view })}
            >
              {title}
            </button>
          ))}
        </nav>
        <label class="theme">
          <span class="hidden">Colours</span>
          <select value={state.theme} onChange={(e) => change({ theme: e.currentTarget.value as Theme })}>
            <option value="auto">auto</option>
            <option value="light">light</option>
            <option value="dark">dark</option>
          </select>
        </label>
        <button type="button" aria-label="Keys" title="?" onClick={() => setKeys(true)}>
          ?
        </button>
      </header>
      <main>
        {problem === null ? null : (
          <p class="panel problem" role="alert">
            {problem}
          </p>
        )}
        {state.view === 'boot' ? <BootView {...shared} /> : null}
        {state.view === 'compare' ? <CompareView {...shared} second={second} /> : null}
        {state.view === 'explain' ? (
          <ExplainView
            {...shared}
            reader={reader}
            onBoot={(machine) =>
              change({ view: 'boot', machine, event: null, mfn: null, zoom: 0, top: null })
            }
          />
        ) : null}
      </main>
      <p class="note" role="status">
        {note}
      </p>
      {keys ? <KeySheet onClose={() => setKeys(false)} /> : null}
    </>
  )
}
