/** Frames are kept by groups of 64 Ki of them, a bit each, so that a set costs what is in it. */
const GROUP_SHIFT = 16
const GROUP_MASK = 2 ** GROUP_SHIFT - 1

/** A set of frames that may have any number of them: every question takes the same short time. */
export class FrameSet {
  private groups: (Int32Array | undefined)[] = []

  add(mfn: number): void {
    const group = mfn >>> GROUP_SHIFT
    const words = this.groups[group] ?? this.newGroup(group)
    words[(mfn & GROUP_MASK) >>> 5] |= 1 << (mfn & 31)
  }

  private newGroup(group: number): Int32Array {
    const words = new Int32Array(2 ** GROUP_SHIFT / 32)
    this.groups[group] = words
    return words
  }

  delete(mfn: number): void {
    const words = this.groups[mfn >>> GROUP_SHIFT]
    if (words !== undefined) words[(mfn & GROUP_MASK) >>> 5] &= ~(1 << (mfn & 31))
  }

  has(mfn: number): boolean {
    const words = this.groups[mfn >>> GROUP_SHIFT]
    return words !== undefined && (words[(mfn & GROUP_MASK) >>> 5] & (1 << (mfn & 31))) !== 0
  }

  clear(): void {
    this.groups = []
  }
}
