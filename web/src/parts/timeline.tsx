import { useLayoutEffect, useRef } from 'preact/hooks'
import { EVENT_KINDS } from '../../../src/run/film/event-kinds.ts'
import type { Film, Step } from '../../../src/run/film/film.ts'
import type { Scheme } from '../map/shades.ts'
import { type Box, useBox } from '../use-media.ts'
import type { Player } from '../use-player.ts'
import { count } from '../words.ts'

/** A moment that the timeline points at. */
export type TimeMark = {
  readonly event: number
  readonly kind: 'refused' | 'fault' | 'differs'
  readonly says: string
}

export const SPEEDS = [0.25, 1, 4] as const

/** The boot from its first event to its last: what happened when, and where we are. */
export function Timeline(props: {
  film: Film
  event: number
  scheme: Scheme
  player: Player
  marks: readonly TimeMark[]
}) {
  const { film, event, scheme, player, marks } = props
  const { playing, speed, scrub, step: onStep } = player
  const holder = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const box = useBox(holder)

  useLayoutEffect(() => {
    if (canvas.current !== null && box.width > 0) drawEvents(canvas.current, box, film, scheme)
  }, [film, box, scheme])

  const described = film.describe(event)
  const place = (n: number): string => `${(100 * n) / Math.max(1, film.events)}%`
  const follow = (move: PointerEvent): void => {
    const { left, width } = (move.currentTarget as HTMLElement).getBoundingClientRect()
    scrub(Math.round(((move.clientX - left) / width) * film.events))
  }
  return (
    <section class="panel timeline" aria-labelledby="time-title">
      <h2 id="time-title" class="hidden">
        Timeline
      </h2>
      <div class="transport">
        <button
          type="button"
          class="play"
          onClick={player.play}
          aria-label={playing ? 'Stop' : 'Play'}
          title="Space"
        >
          {playing ? '❚❚' : '▶'}
        </button>
        <label class="speed">
          <span class="hidden">Speed</span>
          <select value={String(speed)} onChange={(e) => player.setSpeed(Number(e.currentTarget.value))}>
            {SPEEDS.map((one) => (
              <option key={one} value={String(one)}>{`${one}×`}</option>
            ))}
          </select>
        </label>
        {STEPS.map(({ step, keys }) => (
          <span class="stepper" key={step}>
            <button
              type="button"
              aria-label={`Previous ${step}`}
              title={keys[0]}
              onClick={() => onStep(step, -1)}
            >
              ‹
            </button>
            <span>{step}</span>
            <button type="button" aria-label={`Next ${step}`} title={keys[1]} onClick={() => onStep(step, 1)}>
              ›
            </button>
          </span>
        ))}
        {marks.map((mark) => (
          <button
            type="button"
            key={mark.kind}
            class={`jump ${mark.kind}`}
            onClick={() => scrub(mark.event)}
            title={mark.says}
          >
            {JUMPS[mark.kind]}
          </button>
        ))}
      </div>
      <div
        class="track"
        ref={holder}
        onPointerDown={(down) => {
          ;(down.currentTarget as HTMLElement).setPointerCapture(down.pointerId)
          follow(down)
        }}
        onPointerMove={(move) => {
          if (move.buttons === 1) follow(move)
        }}
      >
        <canvas ref={canvas} />
        {marks.map((mark) => (
          <i key={mark.kind} class={`flag ${mark.kind}`} style={{ left: place(mark.event) }} />
        ))}
        <i class="needle" style={{ left: place(event) }} />
      </div>
      <input
        type="range"
        class="slider"
        min={0}
        max={film.events}
        value={event}
        aria-label="Moment of the boot"
        aria-valuetext={`event ${event} of ${film.events}: ${described}`}
        onInput={(e) => scrub(Number(e.currentTarget.value))}
      />
      <p class="now">
        <b>
          event {count(event)} of {count(film.events)}
        </b>{' '}
        <span>{described}</span>
      </p>
      <ul class="stack" aria-label="What the strip shows, from the bottom up">
        {STACK.map(({ says, [scheme]: colour }) => (
          <li key={says}>
            <i style={{ background: colour }} /> {says}
          </li>
        ))}
      </ul>
    </section>
  )
}

const JUMPS = { refused: 'The refusal', fault: 'The fault', differs: 'First difference' } as const

const STEPS: readonly { step: Step; keys: readonly [string, string] }[] = [
  { step: 'event', keys: ['←', '→'] },
  { step: 'hypercall', keys: ['Shift+H', 'H'] },
  { step: 'entry', keys: ['Shift+E', 'E'] },
  { step: 'region', keys: ['Shift+R', 'R'] },
]

/** What is drawn from the bottom up in a column of the track; lines of Xen's and faults go through all of it. */
const STACK: readonly { says: string; kinds: readonly string[]; light: string; dark: string }[] = [
  { says: 'stores', kinds: ['fill'], light: '#c3ccd6', dark: '#38424e' },
  { says: 'stores that Xen carries out', kinds: ['ptwr'], light: '#8fcdf0', dark: '#2f7ba6' },
  { says: 'hypercalls', kinds: ['hypercall'], light: '#1f6fb2', dark: '#4f9be0' },
  { says: 'changes of type', kinds: ['type'], light: '#00846a', dark: '#1fae8e' },
]

function drawEvents(canvas: HTMLCanvasElement, box: Box, film: Film, scheme: Scheme): void {
  const width = Math.round(box.width * box.scale)
  const height = Math.round(box.height * box.scale)
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext('2d')
  if (context === null) return
  const { kind, length } = film.data.events
  const levels = STACK.map(() => new Uint32Array(width))
  const levelOf = EVENT_KINDS.map((name) => STACK.findIndex(({ kinds }) => kinds.includes(name)))
  for (let i = 0; i < length; i++) {
    const level = levelOf[kind[i]]
    if (level !== -1) levels[level][Math.min(width - 1, Math.floor((i / length) * width))]++
  }
  // Columns hold about as many events each: what differs is the mix.
  for (let x = 0; x < width; x++) {
    const sum = levels.reduce((total, level) => total + level[x], 0)
    let y = height
    levels.forEach((level, i) => {
      const tall = sum === 0 ? 0 : (level[x] / sum) * height
      context.fillStyle = STACK[i][scheme]
      context.fillRect(x, y - tall, 1, tall)
      y -= tall
    })
  }
  context.fillStyle = scheme === 'light' ? '#101418' : '#ffffff'
  for (const { event, source } of film.data.lines) {
    if (source !== 'log') context.fillRect(Math.floor((event / length) * width), 0, box.scale, height / 4)
  }
}
