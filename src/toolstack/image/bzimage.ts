import { BadInput } from '../../bits/bad-input.ts'
import { isElf } from './image.ts'
import { BadPayload } from './payload/bad-payload.ts'
import { gunzip, isGzip, packingOf } from './payload/payload.ts'

/** Offsets in a bzImage's setup header: Linux's Documentation/x86/boot. */
const SETUP = {
  sectors: 0x1f1,
  bootFlag: 0x1fe,
  magic: 0x202,
  version: 0x206,
  payloadOffset: 0x248,
  payloadLength: 0x24c,
  end: 0x250,
} as const
const BOOT_FLAG = 0xaa55
/** "HdrS" */
const SETUP_MAGIC = 0x5372_6448
/** The first version of the boot protocol that says where the packed kernel is: Linux 2.6.26. */
const WITH_PAYLOAD = 0x208
const SECTOR = 512
/** What the toolstack unpacks at most, kernels and initrds. Xen: XC_DOM_DECOMPRESS_MAX. */
const MOST_BYTES = 2 ** 30

/**
 * The ELF file in a kernel's file, be it that, the same packed by gzip, or a bzImage, which has it packed inside of a
 * program that unpacks it. Throws BadInput for what is none of these, and for what is cut off or damaged.
 *
 * @param room bytes that it may have, unpacked
 */
export function unpackKernel(file: Uint8Array, source: string, room = MOST_BYTES): Uint8Array {
  if (isElf(file)) return file
  const most = Math.min(room, MOST_BYTES)
  const kernel = isGzip(file) ? named(source, () => gunzip(file, most)) : unpackBzImage(file, source, most)
  if (isElf(kernel)) return kernel
  throw new BadInput(
    `${source}: what is packed in it is no ELF file; give a kernel for x86-64 with Xen's notes`,
  )
}

function unpackBzImage(file: Uint8Array, source: string, most: number): Uint8Array {
  const payload = bzImagePayload(file, source)
  if (isElf(payload)) return payload
  const packing = packingOf(payload)
  if (packing === undefined) {
    throw new BadInput(`${source}: its kernel is packed in a way that is not known; give the vmlinux in it`)
  }
  // The payload ends with the size of its content. gzip has it there anyway, as part of itself.
  const size = new DataView(payload.buffer, payload.byteOffset).getUint32(payload.length - 4, true)
  if (size > most)
    throw new BadInput(`${source}: its kernel says to have ${size} bytes; the guest has room for ${most}`)
  const packed = packing.name === 'gzip' ? payload : payload.subarray(0, -4)
  return named(source, () => packing.unpack(packed, size), packing.name)
}

/**
 * What is packed in a bzImage, as it is, with the four bytes of its size behind it.
 *
 * @throws BadInput for what is no bzImage, or is cut off
 */
export function bzImagePayload(file: Uint8Array, source: string): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const isBzImage =
    file.length >= SETUP.end &&
    view.getUint16(SETUP.bootFlag, true) === BOOT_FLAG &&
    view.getUint32(SETUP.magic, true) === SETUP_MAGIC
  if (!isBzImage) throw new BadInput(`${source}: neither an ELF file nor a bzImage; give a kernel image`)
  if (view.getUint16(SETUP.version, true) < WITH_PAYLOAD) {
    throw new BadInput(`${source}: a bzImage of before Linux 2.6.26; give the vmlinux that it was made of`)
  }
  // A boot sector that says 0 has four sectors of setup behind it.
  const start = ((file[SETUP.sectors] || 4) + 1) * SECTOR + view.getUint32(SETUP.payloadOffset, true)
  const length = view.getUint32(SETUP.payloadLength, true)
  if (length < 8 || start + length > file.length) {
    throw new BadInput(`${source}: cut off in its packed kernel; get the file again`)
  }
  return file.subarray(start, start + length)
}

/** What is wrong with a payload, as bad input that names the file. */
function named(source: string, unpack: () => Uint8Array, packing = 'gzip'): Uint8Array {
  try {
    return unpack()
  } catch (error) {
    if (!(error instanceof BadPayload)) throw error
    throw new BadInput(`${source}: its kernel, packed by ${packing}, cannot be unpacked: ${error.message}`)
  }
}

/**
 * An initrd as the toolstack gives it to the guest: unpacked if it is gzip, else as it is. Xen: xc_dom_build_module().
 *
 * @param room bytes that it may have, unpacked: what the guest has of memory
 * @throws BadInput for more
 */
export function unpackInitrd(file: Uint8Array, source: string, room: number): Uint8Array {
  const tooLarge = (): BadInput => {
    const mib = Math.ceil(room / 2 ** 20)
    return new BadInput(
      `${source}: unpacked it has more than the guest's memory of ${mib} MiB; give the guest more`,
    )
  }
  if (!isGzip(file)) {
    if (file.length > room) throw tooLarge()
    return file
  }
  try {
    return gunzip(file, Math.min(room, MOST_BYTES))
  } catch (error) {
    if (!(error instanceof BadPayload)) throw error
    if (error.isTooLong && room <= MOST_BYTES) throw tooLarge()
    // What does not unpack is the guest's affair, and so is what the toolstack does not unpack.
    return file
  }
}
