/** Hand a file to whoever uses the page. */
export function save(name: string, blob: Blob): void {
  const address = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}

const LINE = 22

/** A canvas as PNG, with lines of text under it that say what it shows. */
export function pngOf(canvas: HTMLCanvasElement, lines: readonly string[], dark: boolean): Promise<Blob> {
  const scale = canvas.width / Math.max(1, canvas.clientWidth)
  const picture = document.createElement('canvas')
  picture.width = canvas.width
  picture.height = canvas.height + Math.round((lines.length * LINE + 12) * scale)
  const context = picture.getContext('2d') as CanvasRenderingContext2D
  context.fillStyle = dark ? '#0b0e11' : '#ffffff'
  context.fillRect(0, 0, picture.width, picture.height)
  context.drawImage(canvas, 0, 0)
  context.fillStyle = dark ? '#e6eaee' : '#101418'
  context.font = `${14 * scale}px system-ui, sans-serif`
  lines.forEach((line, i) => {
    context.fillText(line, 8 * scale, canvas.height + (i + 1) * LINE * scale)
  })
  return new Promise((resolve, reject) =>
    picture.toBlob((blob) => (blob === null ? reject(new Error('no picture')) : resolve(blob)), 'image/png'),
  )
}
