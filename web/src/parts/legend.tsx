import { useLayoutEffect, useRef } from 'preact/hooks'
import { FRAME_CLASSES, type FrameClass } from '../../../src/run/film/film.ts'
import { paintCells } from '../map/paint.ts'
import { type Scheme, SHADE_DIFFERENT, shadeOf, shadePixels } from '../map/shades.ts'
import { count } from '../words.ts'

/** What the colours and patterns of the map mean, and how many frames have each. */
export function Legend({
  counts,
  scheme,
  differing,
}: {
  counts: Uint32Array
  scheme: Scheme
  differing?: number
}) {
  const shown = FRAME_CLASSES.filter(
    ({ name }) => counts[shadeOf(name)] + counts[shadeOf(name, true)] > 0 || ALWAYS.has(name),
  )
  const pinned = FRAME_CLASSES.reduce((sum, { name }) => sum + counts[shadeOf(name, true)], 0)
  return (
    <ul class="legend" aria-label="What the map's colours and patterns mean">
      {shown.map(({ name, says }) => (
        <li key={name} title={says}>
          <Swatch shade={shadeOf(name)} scheme={scheme} />
          <span>{name}</span>{' '}
          <span class="count">{count(counts[shadeOf(name)] + counts[shadeOf(name, true)])}</span>
        </li>
      ))}
      <li title="a table with dots is pinned: the guest asked Xen to keep it a table">
        <Swatch shade={shadeOf('L1', true)} scheme={scheme} />
        <span>pinned</span> <span class="count">{count(pinned)}</span>
      </li>
      {differing === undefined ? null : (
        <li title="frames that look different in the two boots">
          <Swatch shade={SHADE_DIFFERENT} scheme={scheme} />
          <span>differs</span> <span class="count">{count(differing)}</span>
        </li>
      )}
    </ul>
  )
}

const ALWAYS = new Set<FrameClass>(['writable', 'read-only', 'L1'])

function Swatch({ shade, scheme }: { shade: number; scheme: Scheme }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useLayoutEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (context === null || context === undefined) return
    const image = context.createImageData(32, 32)
    paintCells(image, Uint8Array.of(shade), 1, 64, 2, shadePixels(scheme))
    context.putImageData(image, 0, 0)
  }, [shade, scheme])
  return <canvas ref={canvas} class="swatch" width={32} height={32} />
}
