import { spawnSync } from 'node:child_process'
import { debianBusybox, debianKernel, type Missing } from '../tools/debian.ts'
import { missing } from '../tools/tools.ts'

/** Code of the real world: Debian's kernel and its static busybox, out of its packages. */

/** A stretch of executable bytes, and the address that it runs at. */
export type Code = { readonly name: string; readonly address: bigint; readonly bytes: Uint8Array }

/** Run a tool. @returns what it printed, or null when it is missing or fails */
function output(tool: string, words: readonly string[], input: Uint8Array): Buffer | null {
  const { status, stdout } = spawnSync(tool, words, {
    maxBuffer: 2 ** 30,
    stdio: ['pipe', 'pipe', 'ignore'],
    input,
  })
  return status === 0 ? stdout : null
}

/** How the kernels in a bzImage are compressed, by their first bytes, and what undoes it. */
const COMPRESSIONS: readonly [magic: readonly number[], tool: string, words: readonly string[]][] = [
  [[0xfd, 0x37, 0x7a, 0x58], 'xz', ['-dc']],
  [[0x02, 0x21, 0x4c, 0x18], 'lz4', ['-dc']],
  [[0x1f, 0x8b], 'gzip', ['-dc']],
  [[0x28, 0xb5, 0x2f, 0xfd], 'zstd', ['-dc']],
]

/**
 * The ELF image inside a bzImage. The header of the boot protocol (Documentation/arch/x86/boot.rst) says where: sectors of
 * setup code at 0x1f1, offset and length of the payload at 0x248 and 0x24c. The payload's last four bytes are its size.
 */
export function kernelImage(bzImage: Uint8Array): Uint8Array | Missing {
  const view = new DataView(bzImage.buffer, bzImage.byteOffset, bzImage.byteLength)
  const start = (bzImage[0x1f1] + 1) * 512 + view.getUint32(0x248, true)
  const payload = bzImage.subarray(start, start + view.getUint32(0x24c, true) - 4)
  const found = COMPRESSIONS.find(([magic]) => magic.every((byte, i) => payload[i] === byte))
  if (found === undefined) throw new Error('the payload of the bzImage is compressed in no way known here')
  const [, tool, words] = found
  return output(tool, words, payload) ?? { reason: missing(`${tool} is not installed`) }
}

const PROGBITS = 1
const ALLOCATED_AND_EXECUTABLE = 2 | 4

/** The executable sections of a 64-bit ELF file. */
export function codeSections(elf: Uint8Array): Code[] {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength)
  const wide = (at: number) => Number(view.getBigUint64(at, true))
  const [table, size, count, names] = [
    wide(40),
    view.getUint16(58, true),
    view.getUint16(60, true),
    view.getUint16(62, true),
  ]
  const header = (i: number) => {
    const at = table + i * size
    const [name, type] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
    const [flags, address] = [wide(at + 8), view.getBigUint64(at + 16, true)]
    return { name, type, flags, address, offset: wide(at + 24), bytes: wide(at + 32) }
  }
  const strings = header(names).offset
  const text = (at: number) => Buffer.from(elf.subarray(at, elf.indexOf(0, at))).toString('latin1')
  return Array.from({ length: count }, (_, i) => header(i))
    .filter(
      ({ type, flags }) =>
        type === PROGBITS && (flags & ALLOCATED_AND_EXECUTABLE) === ALLOCATED_AND_EXECUTABLE,
    )
    .map(({ name, address, offset, bytes }) => ({
      name: text(strings + name),
      address,
      bytes: elf.subarray(offset, offset + bytes),
    }))
}

/** The code of Debian's kernel, or why there is none. */
export function kernelCode(name = 'linux-image-cloud-amd64'): Code[] | Missing {
  const kernel = debianKernel({ suite: 'bookworm', name })
  if ('reason' in kernel) return kernel
  const image = kernelImage(kernel.bytes)
  return image instanceof Uint8Array ? codeSections(image) : image
}

export function busyboxCode(): Code[] | Missing {
  const busybox = debianBusybox()
  return busybox instanceof Uint8Array ? codeSections(busybox) : busybox
}
