import { type Io, ioOver } from '../../src/cli/io.ts'

/** An Io that keeps what is printed: an entry a call, without its last newline. */
export function listeningIo(colour = false): {
  readonly io: Io
  readonly out: string[]
  readonly err: string[]
} {
  const [out, err]: [string[], string[]] = [[], []]
  const keep = (where: string[]) => (content: string | Uint8Array) =>
    void where.push(
      Buffer.from(content as string)
        .toString()
        .replace(/\n$/, ''),
    )
  return { io: ioOver(keep(out), keep(err), colour), out, err }
}
