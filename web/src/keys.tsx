import { useEffect, useRef } from 'preact/hooks'

/** Keys that work everywhere but in fields of text: the one list, of what they do and of what is told of them. */
export const KEYS = [
  { keys: ['?'], does: 'list the keys', action: 'keys' },
  { keys: ['1'], does: 'boot', action: 'boot' },
  { keys: ['2'], does: 'side by side', action: 'compare' },
  { keys: ['3'], does: 'explain', action: 'explain' },
  { keys: [' '], shown: 'Space', does: 'play, stop', action: 'play' },
  { keys: ['ArrowRight', '.'], shown: '→ or .', does: 'next event', action: 'event+' },
  { keys: ['ArrowLeft', ','], shown: '← or ,', does: 'previous event', action: 'event-' },
  { keys: ['h'], shown: 'H', does: 'next hypercall', action: 'hypercall+' },
  { keys: ['H'], shown: 'Shift+H', does: 'previous hypercall', action: 'hypercall-' },
  { keys: ['e'], shown: 'E', does: 'next entry', action: 'entry+' },
  { keys: ['E'], shown: 'Shift+E', does: 'previous entry', action: 'entry-' },
  { keys: ['r'], shown: 'R', does: 'next region of 2 MiB', action: 'region+' },
  { keys: ['R'], shown: 'Shift+R', does: 'previous region', action: 'region-' },
  { keys: ['Home'], does: 'to the machine as it was built', action: 'first' },
  { keys: ['End'], does: 'to the last event', action: 'last' },
  { keys: ['x'], shown: 'X', does: 'to the refusal, the fault or the first difference', action: 'jump' },
  { keys: ['+', '='], shown: '+', does: 'zoom in', action: 'zoom+' },
  { keys: ['-'], shown: '−', does: 'zoom out', action: 'zoom-' },
  { keys: ['0'], does: 'the whole machine', action: 'whole' },
  { keys: ['w'], shown: 'W', does: 'map up', action: 'up' },
  { keys: ['s'], shown: 'S', does: 'map down', action: 'down' },
  { keys: ['g'], shown: 'G', does: 'name a frame to go to', action: 'find' },
  { keys: ['m'], shown: 'M', does: 'choose another machine', action: 'machine' },
  { keys: ['o'], shown: 'O', does: 'order by pfn, or by mfn', action: 'order' },
  { keys: ['t'], shown: 'T', does: 'map as a table, and back', action: 'table' },
  { keys: ['p'], shown: 'P', does: 'save the map as PNG', action: 'png' },
  { keys: ['l'], shown: 'L', does: 'copy a link to this moment', action: 'link' },
] as const satisfies readonly { keys: readonly string[]; shown?: string; does: string; action: string }[]

export type Action = (typeof KEYS)[number]['action']

/** Calls `act` for every key of the list that is pressed outside of a field. What `act` does not know it leaves alone. */
export function useKeys(act: (action: Action) => boolean): void {
  const latest = useRef(act)
  latest.current = act
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
      const target = event.target as HTMLElement
      // A key belongs to the field that has it; a slider has the arrows, a button the space bar.
      if (target.matches('input:not([type=range]), textarea, select')) return
      if (target.matches('input[type=range]') && /^(Arrow|Home|End|Page)/.test(event.key)) return
      if (target.matches('button, summary, a') && event.key === ' ') return
      if (document.querySelector('dialog[open]') !== null) return
      const found = KEYS.find(({ keys }) => (keys as readonly string[]).includes(event.key))
      if (found !== undefined && latest.current(found.action)) event.preventDefault()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
}

/** The list of keys. Escape closes it, as it does every dialog. */
export function KeySheet({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} class="keys" aria-labelledby="keys-title" onClose={onClose}>
      <h2 id="keys-title">Keys</h2>
      <dl>
        {KEYS.map((key) => (
          <div key={key.action}>
            <dt>
              <kbd>{'shown' in key ? key.shown : key.keys[0]}</kbd>
            </dt>
            <dd>{key.does}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>↑ ↓ ← →</kbd>
          </dt>
          <dd>on the map: choose the frame beside; Page Up and Page Down go a map further</dd>
        </div>
        <div>
          <dt>
            <kbd>Ctrl</kbd> wheel
          </dt>
          <dd>on the map: zoom where the pointer is; a double click zooms in, dragging moves</dd>
        </div>
      </dl>
      <button type="button" class="primary" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  )
}
