import { useState } from 'preact/hooks'
import type { Film } from '../../../src/run/film/film.ts'
import { GivenUp, type MachineClient } from '../machine-client.ts'
import type { MachineOptions } from '../messages.ts'
import { save } from '../save.ts'

/** The boot told in words, with the repaired machine; and its trace as a file. */
export function Account(props: {
  client: MachineClient
  options: MachineOptions
  film: Film
  say: (line: string) => void
}) {
  const { client, options, film, say } = props
  const [told, setTold] = useState<{ film: Film; lines: readonly string[] } | null>(null)
  const [waits, setWaits] = useState<'account' | 'trace' | null>(null)
  const ask = async (kind: 'account' | 'trace'): Promise<void> => {
    setWaits(kind)
    try {
      if (kind === 'account') setTold({ film, lines: await client.ask('account', { options }) })
      else save(`xenolith-${film.data.linux}.jsonl`, await client.ask('trace', { options }))
    } catch (error) {
      if (!(error instanceof GivenUp)) say((error as Error).message)
    } finally {
      setWaits(null)
    }
  }
  return (
    <section class="panel account" aria-labelledby="account-title" aria-busy={waits !== null}>
      <div class="title">
        <h2 id="account-title">Account</h2>
        <div class="tools">
          <button type="button" disabled={waits !== null} onClick={() => void ask('account')}>
            Tell it in words
          </button>
          <button type="button" disabled={waits !== null} onClick={() => void ask('trace')}>
            Save the trace
          </button>
        </div>
      </div>
      {waits === null ? null : (
        <p class="quiet waiting">
          <progress aria-label="The machine boots again" />{' '}
          {waits === 'trace'
            ? 'the machine boots again, traced'
            : 'the machine boots again, as it is and repaired'}
        </p>
      )}
      {told === null || told.film !== film ? null : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys.
        <pre tabIndex={0}>{told.lines.join('\n').trim()}</pre>
      )}
    </section>
  )
}
