/**
 * The smallest script that still shows something, by delta debugging over its lines: parts are left out, halves first,
 * then smaller ones, as long as `shows` says so. Each question costs a boot, so there are at most `questions`.
 */
export async function shrinkLines(
  lines: readonly string[],
  shows: (lines: readonly string[]) => Promise<boolean>,
  questions: number,
): Promise<readonly string[]> {
  let left = lines
  let asked = 0
  let size = Math.ceil(left.length / 2)
  while (asked < questions) {
    let shrunk = false
    // From the end: what came last depends on what came first.
    for (let end = left.length; end > 0 && asked < questions; end -= size) {
      const without = [...left.slice(0, Math.max(0, end - size)), ...left.slice(end)]
      if (without.length === 0) continue
      asked++
      if (!(await shows(without))) continue
      left = without
      shrunk = true
    }
    if (size === 1 && !shrunk) break
    size = Math.max(1, Math.ceil(size / 2))
  }
  return left
}
