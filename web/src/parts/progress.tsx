/** How far something is that takes a while. */
export function Progress({ part, says }: { part: number; says: string }) {
  return (
    <p class="panel working" role="status">
      <span>
        {says}: {Math.round(part * 100)} % of memory mapped
      </span>
      <progress max={1} value={part} aria-label={says} />
    </p>
  )
}
