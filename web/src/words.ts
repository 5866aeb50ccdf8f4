/** Numbers as people read them. */
export function count(n: number): string {
  return n.toLocaleString('en')
}

/** Bytes as GiB or MiB. */
export function size(bytes: number): string {
  const gib = bytes / 2 ** 30
  return gib >= 1 ? `${Number(gib.toFixed(gib < 10 ? 2 : 1))} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`
}

/** Digits of a frame, as every log of Xen has them: without 0x. */
export function bare(n: number | string | null | undefined): string {
  if (n === null || n === undefined) return 'none'
  return typeof n === 'number' ? (n < 0 ? 'none' : n.toString(16)) : n.replace(/^0x/, '')
}
