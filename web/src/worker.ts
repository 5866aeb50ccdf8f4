import { explainLines } from '../../src/explain/explain.ts'
import { logDigest } from '../../src/explain/log/digest.ts'
import { accountOf } from '../../src/explain/report/boot-account.ts'
import { typeWordFields } from '../../src/run/ask/type-word-fields.ts'
import { who } from '../../src/run/ask/who.ts'
import { boot } from '../../src/run/boot/boot.ts'
import { BadInput, bootOptions } from '../../src/run/boot/boot-options.ts'
import { reserveAsNeeded } from '../../src/run/boot/boot-run.ts'
import { generations } from '../../src/run/boot/generations.ts'
import type { FilmData } from '../../src/run/film/film.ts'
import { makeFilm } from '../../src/run/film/make-film.ts'
import { ramBytes } from '../../src/run/maps/map-text.ts'
import { parseMap, shippedMaps } from '../../src/run/maps/maps.ts'
import { traceHeader, traceLine } from '../../src/run/trace.ts'
import { DEFAULT_XEN, xenNames } from '../../src/run/xen-versions.ts'
import { optionsOfCommand } from './command.ts'
import type { Ask, Reply, RequestKind, Requests } from './messages.ts'

/** The machine's side of the page: every request is answered here, one after the other. */

reserveAsNeeded()

type Answers = {
  [K in RequestKind]: (ask: Ask<K>, progress: (part: number) => void) => Requests[K]['answer']
}

const answers: Answers = {
  catalogue: () => ({
    maps: shippedMaps().map((map) => ({
      name: map.name,
      kind: map.kind,
      ramBytes: ramBytes(map),
      nrPages: map.nrPages ?? null,
      vEnd: map.vEnd ?? null,
    })),
    generations: generations.map(({ name, kernels }) => ({ name, kernels })),
    xens: xenNames(),
  }),
  film: ({ options }, progress) => makeFilm(bootOptions(options), progress),
  who: ({ options, frame, event }) => {
    const answer = who({ boot: bootOptions(options) }, frame, event)
    return { who: answer, fields: typeWordFields(options.xen ?? DEFAULT_XEN.model, answer.typeWord) }
  },
  account: ({ options }) => {
    const machine = bootOptions(options)
    return accountOf(boot(machine), machine)
  },
  trace: ({ options }) => {
    const machine = bootOptions(options)
    const parts = [`${traceHeader({ boot: machine })}\n`]
    let part = ''
    boot(machine, (event) => {
      part += `${traceLine(event)}\n`
      if (part.length < 2 ** 20) return
      parts.push(part)
      part = ''
    })
    return new Blob([...parts, part], { type: 'application/jsonl' })
  },
  explain: ({ text, name, boot: confirm }) => {
    const digest = logDigest()
    digest.push(new TextEncoder().encode(text))
    const { lines, damage } = digest.end()
    return explainLines(lines, { damage, confirm, ...(name === null ? {} : { name }) })
  },
  machine: ({ text, name, command }) => {
    const map = parseMap(text, name)
    return command === null ? { map } : { ...optionsOfCommand(command), map }
  },
}

/** What can go to the page without a copy. */
function buffersOf(answer: unknown): Transferable[] {
  const { flipped, bits, until, events, keyframes } = answer as Partial<FilmData>
  if (flipped === undefined || bits === undefined || until === undefined) return []
  const columns = Object.values(events ?? {}).filter((column) => ArrayBuffer.isView(column))
  const views = [flipped, bits, until, ...columns, ...(keyframes ?? []).map(({ looks }) => looks)]
  return views.map((view) => view.buffer as ArrayBuffer)
}

const port = self as unknown as {
  postMessage(reply: Reply, transfer: Transferable[]): void
  onmessage: ((message: MessageEvent<Ask>) => void) | null
}

port.onmessage = ({ data }) => {
  const reply = (one: Reply, transfer: Transferable[] = []): void => port.postMessage(one, transfer)
  const { id } = data
  try {
    const answer = (answers[data.kind] as (ask: Ask, progress: (part: number) => void) => unknown)(
      data,
      (part) => reply({ id, type: 'progress', part }),
    )
    reply({ id, type: 'answer', answer: answer as Requests[RequestKind]['answer'] }, buffersOf(answer))
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    reply({ id, type: 'error', message, bad: error instanceof BadInput })
  }
}
