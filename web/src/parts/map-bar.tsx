/** What can be done with the map, beside its title. */
export function MapBar(props: {
  title: string
  table: boolean
  order: 'pfn' | 'mfn'
  onOrder: () => void
  onZoom: (by: number) => void
  onWhole: () => void
  onTable: () => void
  onPng: () => void
  onLink: () => void
}) {
  const { title, table, order, onOrder, onZoom, onWhole, onTable, onPng, onLink } = props
  return (
    <div class="title">
      <h2 id="map-title">{title}</h2>
      <div class="tools">
        <button type="button" aria-label="Zoom out" title="−" onClick={() => onZoom(-1)}>
          −
        </button>
        <button type="button" aria-label="Zoom in" title="+" onClick={() => onZoom(1)}>
          +
        </button>
        <button type="button" title="0" onClick={onWhole}>
          Whole
        </button>
        <button type="button" title="O: the guest's order, or the machine's" onClick={onOrder}>
          by {order}
        </button>
        <button type="button" title="T" aria-pressed={table} onClick={onTable}>
          Table
        </button>
        <button type="button" title="P" onClick={onPng}>
          PNG
        </button>
        <button type="button" title="L" onClick={onLink}>
          Link
        </button>
      </div>
    </div>
  )
}
