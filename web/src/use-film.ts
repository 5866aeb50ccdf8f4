import { useEffect, useState } from 'preact/hooks'
import { Film } from '../../src/run/film/film.ts'
import { GivenUp, type MachineClient } from './machine-client.ts'
import type { MachineOptions } from './messages.ts'

/** A film on its way: there, in the making, or impossible. */
export type Filming = {
  readonly film: Film | null
  /** How much of it is done, 0 to 1; null when nothing runs. */
  readonly progress: number | null
  /** Why there is none, in one line. */
  readonly error: string | null
  /** The options that `film` was made of. */
  readonly options: MachineOptions
}

/** The film of a machine; null options make none. Newer options give up a boot that runs. */
export function useFilm(client: MachineClient, options: MachineOptions | null): Filming {
  const key = options === null ? null : JSON.stringify(options)
  const [filming, setFilming] = useState<Filming>({ film: null, progress: null, error: null, options: {} })
  useEffect(() => {
    if (key === null) return
    const asked = JSON.parse(key) as MachineOptions
    let isWanted = true
    if (client.busy) client.giveUp()
    setFilming((before) => ({ ...before, progress: 0, error: null }))
    client
      .ask('film', { options: asked }, (part) => {
        if (isWanted) setFilming((before) => ({ ...before, progress: part }))
      })
      .then((data) => {
        if (isWanted) setFilming({ film: new Film(data), progress: null, error: null, options: asked })
      })
      .catch((error: Error) => {
        if (isWanted && !(error instanceof GivenUp))
          setFilming({ film: null, progress: null, error: error.message, options: asked })
      })
    return () => {
      isWanted = false
    }
  }, [client, key])
  return filming
}
