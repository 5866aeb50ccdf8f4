import { useEffect, useState } from 'preact/hooks'
import { holderWords } from '../../../src/run/ask/holder-words.ts'
import type { HolderResult } from '../../../src/run/ask/who.ts'
import type { Film } from '../../../src/run/film/film.ts'
import { lookWords } from '../../../src/run/film/film.ts'
import { GivenUp, type MachineClient } from '../machine-client.ts'
import type { FrameAnswer, MachineOptions } from '../messages.ts'
import { bare, count } from '../words.ts'
import { Fact } from './buffer.tsx'

/** Milliseconds that a moment must stand before the machine is asked about it. */
const PATIENCE = 120

/** What a frame is at the moment: at once from the film, and then who holds it, since when, from the machine itself. */
export function FramePanel(props: {
  client: MachineClient
  options: MachineOptions
  film: Film
  event: number
  mfn: number | null
  playing: boolean
  onEvent: (event: number) => void
  onFrame: (mfn: number) => void
  onFind: (text: string) => Promise<string | null>
}) {
  const { client, options, film, event, mfn, playing, onEvent, onFrame, onFind } = props
  const [answer, setAnswer] = useState<FrameAnswer | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const [waits, setWaits] = useState(false)

  useEffect(() => {
    setAnswer(null)
    setProblem(null)
    setWaits(false)
    if (mfn === null || playing) return
    let isWanted = true
    const timer = setTimeout(() => {
      setWaits(true)
      client
        .ask('who', { options, frame: `mfn:${mfn.toString(16)}`, event })
        .then((got) => {
          if (isWanted) setAnswer(got)
        })
        .catch((error: Error) => {
          if (isWanted && !(error instanceof GivenUp)) setProblem(error.message)
        })
        .finally(() => {
          if (isWanted) setWaits(false)
        })
    }, PATIENCE)
    return () => {
      isWanted = false
      clearTimeout(timer)
    }
  }, [client, film, mfn, event, playing, options])

  return (
    <section class="panel frame" aria-labelledby="frame-title" aria-busy={waits}>
      <div class="title">
        <h2 id="frame-title">Frame</h2>
        <FindFrame onFind={onFind} />
      </div>
      {mfn === null ? <p class="quiet">Choose a frame on the map, or name one.</p> : null}
      {mfn === null ? null : <Look film={film} mfn={mfn} answer={answer} />}
      {waits ? (
        <p class="quiet waiting">
          <progress aria-label="The machine runs again, watched" /> the machine runs again, watched
        </p>
      ) : null}
      {problem === null ? null : <p class="problem">{problem}</p>}
      {answer === null || mfn === null ? null : (
        <Answer film={film} event={event} mfn={mfn} answer={answer} onEvent={onEvent} onFrame={onFrame} />
      )}
    </section>
  )
}

function FindFrame({ onFind }: { onFind: (text: string) => Promise<string | null> }) {
  const [problem, setProblem] = useState<string | null>(null)
  return (
    <form
      class="find"
      onSubmit={(submit) => {
        submit.preventDefault()
        const field = submit.currentTarget.elements.namedItem('frame') as HTMLInputElement
        void onFind(field.value.trim()).then(setProblem)
      }}
    >
      <label>
        <span class="hidden">Go to a frame: pfn, mfn or va</span>
        <input name="frame" id="find-frame" placeholder="pfn:bacf7" autocomplete="off" spellcheck={false} />
      </label>
      <button type="submit">Show</button>
      {problem === null ? null : (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  )
}

function Look({ film, mfn, answer }: { film: Film; mfn: number; answer: FrameAnswer | null }) {
  const index = film.indexOf(mfn)
  const look = index === -1 ? null : lookWords(film.looks[index])
  const pfn = answer === null ? bare(film.pfnOf(mfn)) : bare(answer.who.pfn)
  return (
    <dl class="facts across">
      <Fact name="mfn" value={bare(mfn)} />
      <Fact name="pfn" value={pfn} />
      <Fact name="is" value={look === null ? 'no RAM' : `${look.class}${look.pinned ? ', pinned' : ''}`} />
      {answer === null ? null : (
        <>
          <Fact name="owner" value={answer.who.owner ?? 'nobody'} />
          <Fact name="references" value={count(answer.who.refCount)} />
        </>
      )}
    </dl>
  )
}

function Answer(props: {
  film: Film
  event: number
  mfn: number
  answer: FrameAnswer
  onEvent: (event: number) => void
  onFrame: (mfn: number) => void
}) {
  const { film, event, mfn, answer, onEvent, onFrame } = props
  const { who, fields } = answer
  const { refusal } = film.data
  const isRefused = refusal !== null && refusal.mfn === mfn && refusal.event === event
  const isFaulted =
    film.data.outcome === 'fault' && film.data.pfn === film.pfnOf(mfn) && film.data.stop === event
  return (
    <>
      <h3>
        Type word <code>{who.typeWord}</code>
      </h3>
      <table class="bits">
        <thead>
          <tr>
            <th scope="col">bits</th>
            <th scope="col">field</th>
            <th scope="col">value</th>
            <th scope="col">says</th>
          </tr>
        </thead>
        <tbody>
          {fields.map(({ name, bits, value, says }) => (
            <tr key={name} class={/1/.test(value) ? undefined : 'off'}>
              <td>{bits[0] === bits[1] ? bits[0] : `${bits[0]}..${bits[1]}`}</td>
              <td>{name}</td>
              <td>
                <code>{value.length > 8 ? `…${value.slice(-8)}` : value}</code>
              </td>
              <td>{says}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h3>Held by</h3>
      {isRefused ? (
        <p class="verdict-line">
          Xen wanted <code>{refusal.exp}</code> and saw <code>{refusal.saw}</code>.
        </p>
      ) : null}
      <ul class="holders">
        {who.holders.map((holder) => (
          <Holder
            key={`${holder.kind}${holder.table}${holder.slot}${holder.as}`}
            holder={holder}
            blamed={(isRefused && stands(holder, who.type)) || (isFaulted && isReadOnly(holder))}
            onEvent={onEvent}
            onFrame={onFrame}
          />
        ))}
        {who.holders.length === 0 ? <li class="quiet">nobody</li> : null}
      </ul>
      <h3>Its type</h3>
      <ol class="history">
        {who.history.map((moment) => (
          <li key={moment.event}>
            <b>{moment.type}</b>{' '}
            <button type="button" class="link" onClick={() => onEvent(moment.event)}>
              {moment.event === 0 ? 'as built' : `event ${count(moment.event)}`}
            </button>{' '}
            <span>{moment.event === 0 ? '' : moment.what}</span>
          </li>
        ))}
      </ol>
    </>
  )
}

/** Whether a holder maps a frame so that a store to it faults. */
function isReadOnly(holder: HolderResult): boolean {
  return holder.kind === 'entry' && holder.level === 1 && !(holder.flags ?? '').split('|').includes('RW')
}

/** Whether a holder is what a refused frame's type stands on. */
function stands(holder: HolderResult, type: string): boolean {
  if (holder.kind === 'pin') return type !== 'writable'
  if (holder.kind !== 'entry') return false
  const isWritable = (holder.flags ?? '').split('|').includes('RW')
  return type === 'writable' ? isWritable && holder.level === 1 : (holder.level ?? 0) > 1
}

function Holder(props: {
  holder: HolderResult
  blamed: boolean
  onEvent: (event: number) => void
  onFrame: (mfn: number) => void
}) {
  const { holder, blamed, onEvent, onFrame } = props
  const { since } = holder
  return (
    <li class={blamed ? 'blamed' : undefined}>
      {blamed ? <strong>This entry, written then, is why:</strong> : null}
      {holder.kind === 'entry' ? (
        <p>
          <button type="button" class="link" onClick={() => onFrame(Number(holder.table))}>
            slot {holder.slot} of the L{holder.level} at pfn {bare(holder.tablePfn)}
          </button>{' '}
          <code>{bare(holder.entry)}</code> {holder.flags?.replaceAll('|', ' ')}
          <br />
          {holder.addresses?.length
            ? `at ${holder.addresses.map(bare).join(', ')}`
            : 'not linked: no address reaches it'}
        </p>
      ) : (
        <p>{holderWords(holder.kind, holder.domain, holder.as)}</p>
      )}
      <p>
        <button type="button" class="link since" onClick={() => onEvent(since.event)}>
          since {since.event === 0 ? 'it was built' : `event ${count(since.event)}`}
        </button>
        {since.event === 0 ? '' : `: ${since.what}`}
      </p>
    </li>
  )
}
