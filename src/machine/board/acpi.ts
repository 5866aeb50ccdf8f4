import type { E820Entry } from '../../bits/e820.ts'
import { BOARD_IRQS, PM, PM_BYTES } from './board.ts'

/**
 * ACPI's tables of the board of a dom0, as its firmware would leave them: who looks for CPUs finds one for each vCPU, and who
 * looks for devices finds none. Layouts are those of the ACPI specification, revision 2 and on.
 */

/** A table in the machine's memory: where, a machine address in bytes, and its bytes. */
export type AcpiPiece = { readonly at: number; readonly bytes: Uint8Array }

export type AcpiTables = {
  readonly pieces: readonly AcpiPiece[]
  /** The map of the machine in which the tables have their room. */
  readonly map: readonly E820Entry[]
}

/** Where the pointer to all of them is looked for, and all of them lie: the firmware's last 128 KiB below 1 MiB. */
const ROOM = { start: 0xe_0000, end: 0x10_0000 } as const

const LOCAL_APIC = 0xfee0_0000
const IO_APIC = 0xfec0_0000
/** Identifiers of APICs are bytes, and the last is for all of them. */
const MOST_CPUS = 255

/** A field of a table: where, how many bytes, and what it says. */
type Field = readonly [at: number, bytes: number, value: number]

function put(table: Uint8Array, fields: readonly Field[]): Uint8Array {
  for (const [at, bytes, value] of fields) {
    for (let i = 0; i < bytes; i++) table[at + i] = Math.floor(value / 2 ** (8 * i)) & 0xff
  }
  return table
}

function putText(table: Uint8Array, at: number, text: string): void {
  for (const [i, c] of [...text].entries()) table[at + i] = c.charCodeAt(0)
}

/** The byte at `at` becomes what makes the sum of the first `length` bytes zero. */
function sum(table: Uint8Array, at: number, length: number): void {
  table[at] = -table.subarray(0, length).reduce((total, byte) => total + byte, 0)
}

const HEADER_BYTES = 36
const OEM = 'XENOLH'
/** A table with the header that all but two of them have, over what is behind it. */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.length)
  bytes.set(body, HEADER_BYTES)
  putText(bytes, 0, signature)
  putText(bytes, 10, `${OEM}XENOLITH`)
  putText(bytes, 28, 'XENO')
  put(bytes, [
    [4, 4, bytes.length],
    [8, 1, revision],
    [24, 4, 1],
    [32, 4, 1],
  ])
  sum(bytes, 9, bytes.length)
  return bytes
}

/** The pointer that is looked for: it names the XSDT, and no RSDT. */
function rsdp(xsdt: number): Uint8Array {
  const bytes = new Uint8Array(36)
  putText(bytes, 0, 'RSD PTR ')
  putText(bytes, 9, OEM)
  put(bytes, [
    [15, 1, 2],
    [20, 4, bytes.length],
    [24, 8, xsdt],
  ])
  sum(bytes, 8, 20)
  sum(bytes, 32, bytes.length)
  return bytes
}

function xsdt(tables: readonly number[]): Uint8Array {
  return table(
    'XSDT',
    1,
    put(
      new Uint8Array(tables.length * 8),
      tables.map((at, i): Field => [i * 8, 8, at]),
    ),
  )
}

/** What firmware and system leave each other; it has no checksum. */
function facs(): Uint8Array {
  const bytes = new Uint8Array(64)
  putText(bytes, 0, 'FACS')
  return put(bytes, [
    [4, 4, bytes.length],
    [32, 1, 2],
  ])
}

/** `Scope (\_SB_) { }`: an opcode, how long it is with this byte, and its name. */
const EMPTY_SCOPE = [0x10, 0x06, 0x5c, 0x5f, 0x53, 0x42, 0x5f]

/** Of the boot architecture: no VGA, and no MSI. Nothing is said of an 8042 or other devices of old, which says that there are none. */
const BOOT_ARCHITECTURE = (1 << 2) | (1 << 3)
/** WBINVD works; every CPU halts by HLT; of power and sleep there are no buttons in the registers. */
const FADT_FLAGS = (1 << 0) | (1 << 2) | (1 << 4) | (1 << 5)

/** Where a register is in the space of ports: the space, its bits, their offset, the size of an access, the port. */
function inPorts(at: number, bytes: number, port: number): readonly Field[] {
  const access = Math.log2(bytes) + 1
  return [
    [at, 1, 1],
    [at + 1, 1, bytes * 8],
    [at + 3, 1, access],
    [at + 4, 8, port],
  ]
}

/** The fixed hardware: blocks of registers, twice, as revision 3 has them with all 64 bits of their addresses, too. */
function fadt(facsAt: number, dsdtAt: number): Uint8Array {
  const END = 244
  const fields: readonly Field[] = [
    [36, 4, facsAt],
    [40, 4, dsdtAt],
    [46, 2, BOARD_IRQS.sci],
    [56, 4, PM.event],
    [64, 4, PM.control],
    [76, 4, PM.timer],
    [88, 1, PM_BYTES.event],
    [89, 1, PM_BYTES.control],
    [91, 1, PM_BYTES.timer],
    // Latencies that say that a CPU has no deeper sleep than C1.
    [96, 2, 101],
    [98, 2, 1001],
    // The register of the clock that has the century.
    [108, 1, 0x32],
    [109, 2, BOOT_ARCHITECTURE],
    [112, 4, FADT_FLAGS],
    [140, 8, dsdtAt],
    ...inPorts(148, PM_BYTES.event, PM.event),
    ...inPorts(172, PM_BYTES.control, PM.control),
    ...inPorts(208, PM_BYTES.timer, PM.timer),
  ]
  const moved = fields.map(([at, bytes, value]): Field => [at - HEADER_BYTES, bytes, value])
  return table('FACP', 3, put(new Uint8Array(END - HEADER_BYTES), moved))
}

/** Two 8259 are there, whoever has them. */
const HAS_PICS = 1
/** High, and level: what SCI's entry says of its line. */
const HIGH_LEVEL = 0xd

/** The APICs: one for each CPU, all of them on; and the IO-APIC where there is one, with SCI's line. */
function madt(cpus: number, hasIoApic: boolean): Uint8Array {
  const local = Array.from({ length: cpus }, (_, id) =>
    put(new Uint8Array(8), [
      [0, 1, 0],
      [1, 1, 8],
      [2, 1, id],
      [3, 1, id],
      [4, 4, 1],
    ]),
  )
  const others = [
    put(new Uint8Array(12), [
      [0, 1, 1],
      [1, 1, 12],
      [4, 4, IO_APIC],
    ]),
    put(new Uint8Array(10), [
      [0, 1, 2],
      [1, 1, 10],
      [3, 1, BOARD_IRQS.sci],
      [4, 4, BOARD_IRQS.sci],
      [8, 2, HIGH_LEVEL],
    ]),
  ]
  const head = put(new Uint8Array(8), [
    [0, 4, LOCAL_APIC],
    [4, 4, HAS_PICS],
  ])
  const entries = [head, ...local, ...(hasIoApic ? others : [])]
  return table('APIC', 3, Uint8Array.from(entries.flatMap((entry) => [...entry])))
}

/**
 * The tables of a board, and the host's map with room for them below 1 MiB.
 *
 * @param vcpus CPUs that they tell of, at most 255
 * @param map the machine's map, ascending, in bytes
 * @param hasIoApic whether they tell of an IO-APIC, too, which a kernel then asks Xen about
 */
export function acpiTables({
  vcpus,
  map,
  hasIoApic = false,
}: {
  readonly vcpus: number
  readonly map: readonly E820Entry[]
  readonly hasIoApic?: boolean
}): AcpiTables {
  const pieces: AcpiPiece[] = []
  let free: number = ROOM.start
  // Where a piece comes to lie: the FACS needs 64 bytes' alignment, the pointer 16.
  const place = (bytes: Uint8Array): number => {
    const at = free
    pieces.push({ at, bytes })
    free = Math.ceil((at + bytes.length) / 64) * 64
    return at
  }
  // The pointer is first, and says where its table will be.
  const pointerAt = place(new Uint8Array(HEADER_BYTES))
  const facsAt = place(facs())
  const dsdtAt = place(table('DSDT', 2, Uint8Array.from(EMPTY_SCOPE)))
  const fadtAt = place(fadt(facsAt, dsdtAt))
  const madtAt = place(madt(Math.min(vcpus, MOST_CPUS), hasIoApic))
  pieces[0] = { at: pointerAt, bytes: rsdp(place(xsdt([fadtAt, madtAt]))) }
  return { pieces, map: withRoom(map) }
}

/** The map with the room reserved, whatever was there. */
function withRoom(map: readonly E820Entry[]): E820Entry[] {
  const cut = map.flatMap(({ start, end, type }): E820Entry[] => [
    { start, end: Math.min(end, ROOM.start), type },
    { start: Math.max(start, ROOM.end), end, type },
  ])
  const room: E820Entry = { ...ROOM, type: 'reserved' }
  return [...cut.filter(({ start, end }) => end > start), room].toSorted((a, b) => a.start - b.start)
}
