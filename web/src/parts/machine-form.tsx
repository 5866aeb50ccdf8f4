import { useEffect, useRef, useState } from 'preact/hooks'
import type { MemoryMap } from '../../../src/run/maps/maps.ts'
import type { MachineClient } from '../machine-client.ts'
import type { Catalogue, MachineOptions } from '../messages.ts'
import { useDrop } from '../use-drop.ts'
import { size } from '../words.ts'

/** Which machine boots: its map, its kernel, its Xen, its size. Nothing happens before `Boot` is pressed. */
export function MachineForm(props: {
  client: MachineClient
  catalogue: Catalogue | null
  machine: MachineOptions
  onBoot: (machine: MachineOptions) => void
}) {
  const { client, catalogue, machine, onBoot } = props
  const [draft, setDraft] = useState<MachineOptions>(machine)
  const [problem, setProblem] = useState<string | null>(null)
  useEffect(() => setDraft(machine), [machine])

  const file = useRef<HTMLInputElement>(null)
  const readFile = (one: File | undefined): void => {
    if (one === undefined) return
    void one
      .text()
      .then((text) => client.ask('machine', { text, name: one.name, command: null }))
      .then(({ map }) => {
        setProblem(null)
        setDraft((before) => ({ linux: before.linux ?? 'B', ...(map === undefined ? {} : { map }) }))
      })
      .catch((error: Error) => setProblem(error.message))
  }

  useDrop(readFile)

  const put = (change: MachineOptions): void => setDraft((before) => ({ ...before, ...change }))
  const text = (key: 'linux' | 'memory' | 'vEnd' | 'append', value: string): void => {
    const { [key]: _old, ...rest } = draft
    setDraft(value.trim() === '' ? rest : { ...rest, [key]: value })
  }
  const own = typeof draft.map === 'object' ? (draft.map as MemoryMap) : null
  const domain = draft.domu ? 'domU' : draft.dom0 ? 'dom0' : ''
  return (
    <form
      class="panel machine"
      aria-label="The machine"
      onSubmit={(submit) => {
        submit.preventDefault()
        onBoot(draft)
      }}
    >
      <div class="field">
        <label for="linux">Linux</label>
        <input
          id="linux"
          list="generations"
          value={draft.linux ?? 'B'}
          spellcheck={false}
          autocomplete="off"
          onInput={(e) => text('linux', e.currentTarget.value)}
        />
        <datalist id="generations">
          {catalogue?.generations.map(({ name, kernels }) => (
            <option key={name} value={name}>
              {kernels}
            </option>
          ))}
        </datalist>
      </div>
      <div class="field wide">
        <label for="map">Map</label>
        <select
          id="map"
          value={own === null ? ((draft.map as string | undefined) ?? '') : '*'}
          onChange={(e) => {
            const { map: _map, ...rest } = draft
            const value = e.currentTarget.value
            setDraft(value === '' || value === '*' ? rest : { ...rest, map: value })
          }}
        >
          <option value="">the seed's machine</option>
          {own === null ? null : <option value="*">{own.name} (your file)</option>}
          {catalogue?.maps.map(({ name, kind, ramBytes }) => (
            <option key={name} value={name}>
              {name} · {size(ramBytes)} · {kind === 'host' ? 'dom0' : 'domU'}
            </option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for="domain">Domain</label>
        <select
          id="domain"
          value={domain}
          onChange={(e) => {
            const { dom0: _dom0, domu: _domu, ...rest } = draft
            const value = e.currentTarget.value
            setDraft(
              value === 'dom0' ? { ...rest, dom0: true } : value === 'domU' ? { ...rest, domu: true } : rest,
            )
          }}
        >
          <option value="">auto</option>
          <option value="dom0">dom0</option>
          <option value="domU">domU</option>
        </select>
      </div>
      <div class="field">
        <label for="memory">Memory</label>
        <input
          id="memory"
          placeholder="as the map"
          value={draft.memory ?? ''}
          spellcheck={false}
          onInput={(e) => text('memory', e.currentTarget.value)}
        />
      </div>
      <div class="field">
        <label for="v-end">v_end</label>
        <input
          id="v-end"
          placeholder="usual"
          value={draft.vEnd ?? ''}
          spellcheck={false}
          onInput={(e) => text('vEnd', e.currentTarget.value)}
        />
      </div>
      <div class="field">
        <label for="xen">Xen</label>
        <select id="xen" value={draft.xen ?? 'seed'} onChange={(e) => put({ xen: e.currentTarget.value })}>
          {(catalogue?.xens ?? ['seed']).map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </div>
      <div class="field wide">
        <label for="append">Command line</label>
        <input
          id="append"
          placeholder="mem=2G"
          value={draft.append ?? ''}
          spellcheck={false}
          onInput={(e) => text('append', e.currentTarget.value)}
        />
      </div>
      <div class="actions">
        <button type="submit" class="primary">
          Boot
        </button>
        <button
          type="button"
          onClick={() => file.current?.click()}
          title="or drop a log or a map on the page"
        >
          Map from a file…
        </button>
        <input
          ref={file}
          id="map-file"
          class="hidden"
          type="file"
          tabIndex={-1}
          aria-label="A log or a map file"
          onChange={(e) => {
            readFile(e.currentTarget.files?.[0])
            e.currentTarget.value = ''
          }}
        />
      </div>
      {problem === null ? null : (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  )
}
