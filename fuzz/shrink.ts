/**
 * The smallest input that still shows something, by delta debugging: parts of it are left out, halves first, then smaller
 * ones, as long as `shows` says so.
 */
export async function shrinkInput(
  input: Uint8Array,
  { cut, shows }: { cut: 'lines' | 'bytes'; shows: (input: Uint8Array) => Promise<boolean | null> },
): Promise<Uint8Array> {
  let left = partsOf(input, cut)
  for (let size = Math.ceil(left.length / 2); size > 0; ) {
    let isShrunk = false
    // From the end: what came last depends on what came first.
    for (let end = left.length; end > 0; end -= size) {
      const without = [...left.slice(0, Math.max(0, end - size)), ...left.slice(end)]
      const answer = await shows(Buffer.concat(without))
      // Nobody answers any more: what there is has to do.
      if (answer === null) return Buffer.concat(left)
      if (!answer) continue
      left = without
      isShrunk = true
    }
    size = size > 1 ? Math.ceil(size / 2) : isShrunk ? 1 : 0
  }
  return Buffer.concat(left)
}

function partsOf(input: Uint8Array, cut: 'lines' | 'bytes'): Uint8Array[] {
  if (cut === 'bytes') return Array.from(input, (byte) => Uint8Array.of(byte))
  const parts: Uint8Array[] = []
  for (let at = 0; at < input.length; ) {
    const newline = input.indexOf(10, at)
    const end = newline === -1 ? input.length : newline + 1
    parts.push(input.subarray(at, end))
    at = end
  }
  return parts
}
