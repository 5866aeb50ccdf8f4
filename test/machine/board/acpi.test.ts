import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AcpiTables, acpiTables } from '../../../src/machine/board/acpi.ts'
import { PM } from '../../../src/machine/board/board.ts'

const MAP = [
  { start: 0, end: 0x9_fc00, type: 'usable' },
  { start: 0xf_0000, end: 0x10_0000, type: 'reserved' },
  { start: 0x10_0000, end: 0x1000_0000, type: 'usable' },
] as const

/** A table by its address, as a kernel reads it. */
class Reader {
  readonly bytes: Buffer
  constructor({ pieces }: AcpiTables, at: number) {
    const piece = pieces.find((p) => p.at === at)
    assert.ok(piece, `nothing at ${at.toString(16)}`)
    this.bytes = Buffer.from(piece.bytes)
  }
  number(at: number, bytes: number): number {
    return this.bytes.readUIntLE(at, bytes)
  }
  /** The length that the table says, whose bytes must sum up to zero. */
  checked(signature: string): this {
    assert.equal(this.bytes.toString('latin1', 0, 4), signature)
    assert.equal(this.number(4, 4), this.bytes.length)
    assert.equal(sumOf(this.bytes), 0)
    return this
  }
}

function sumOf(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 0xff, 0)
}

/** What a kernel finds that looks for a pointer by 16 bytes and follows it. */
function followed(tables: AcpiTables): Map<string, Reader> {
  const found = tables.pieces.find(
    ({ at, bytes }) => at % 16 === 0 && Buffer.from(bytes).toString('latin1', 0, 8) === 'RSD PTR ',
  )
  assert.ok(found !== undefined && found.at >= 0xe_0000 && found.at < 0x10_0000)
  assert.deepEqual([sumOf(found.bytes.subarray(0, 20)), sumOf(found.bytes), found.bytes[15]], [0, 0, 2])
  const xsdt = new Reader(tables, new Reader(tables, found.at).number(24, 6)).checked('XSDT')
  const all = new Map<string, Reader>()
  for (let at = 36; at < xsdt.bytes.length; at += 8) {
    const table = new Reader(tables, xsdt.number(at, 6))
    const name = table.bytes.toString('latin1', 0, 4)
    all.set(name, table.checked(name))
  }
  return all
}

test('a kernel that follows the pointer finds the fixed hardware and a CPU for every vCPU', () => {
  const tables = acpiTables({ vcpus: 3, map: MAP })
  const all = followed(tables)
  assert.deepEqual([...all.keys()], ['FACP', 'APIC'])
  const fadt = all.get('FACP')!
  assert.ok(fadt.number(8, 1) >= 3 && fadt.bytes.length === 244)
  assert.deepEqual(
    [fadt.number(46, 2), fadt.number(48, 4), fadt.number(56, 4), fadt.number(64, 4), fadt.number(76, 4)],
    [9, 0, PM.event, PM.control, PM.timer],
  )
  // The same, with the addresses' 64 bits.
  assert.deepEqual(
    [148, 172, 208].map((at) => [fadt.number(at, 1), fadt.number(at + 1, 1), fadt.number(at + 4, 6)]),
    [
      [1, 32, PM.event],
      [1, 16, PM.control],
      [1, 32, PM.timer],
    ],
  )
  assert.equal(fadt.number(140, 6), fadt.number(40, 4))
  const dsdt = new Reader(tables, fadt.number(40, 4)).checked('DSDT')
  assert.equal(dsdt.bytes.subarray(36).toString('hex'), '10065c5f53425f')
  const facs = fadt.number(36, 4)
  assert.equal(facs % 64, 0)
  assert.equal(new Reader(tables, facs).bytes.toString('latin1', 0, 4), 'FACS')
  assert.deepEqual(entries(all.get('APIC')!), ['0008000001000000', '0008010101000000', '0008020201000000'])
})

function entries(madt: Reader): string[] {
  const found: string[] = []
  for (let at = 44; at < madt.bytes.length; at += madt.number(at + 1, 1)) {
    found.push(madt.bytes.subarray(at, at + madt.number(at + 1, 1)).toString('hex'))
  }
  return found
}

test('an IO-APIC is told of where it is asked for, with the line of the power management', () => {
  const madt = followed(acpiTables({ vcpus: 1, map: MAP, hasIoApic: true })).get('APIC')!
  assert.deepEqual(entries(madt).slice(1), ['010c00000000c0fe00000000', '020a0009090000000d00'])
  assert.equal(entries(followed(acpiTables({ vcpus: 4000, map: MAP })).get('APIC')!).length, 255)
})

test('the tables lie apart, in a range that the map reserves, whatever it said there', () => {
  for (const map of [MAP, [{ start: 0, end: 0x1000_0000, type: 'usable' }] as const, []]) {
    const tables = acpiTables({ vcpus: 255, map })
    const room = tables.map.find(({ start }) => start === 0xe_0000)
    assert.deepEqual(room, { start: 0xe_0000, end: 0x10_0000, type: 'reserved' })
    for (const [i, { start, end }] of tables.map.entries()) {
      assert.ok(start < end && (i === 0 || tables.map[i - 1].end <= start))
    }
    let free = 0xe_0000
    for (const { at, bytes } of tables.pieces) {
      assert.ok(at >= free)
      free = at + bytes.length
    }
    assert.ok(free <= 0x10_0000)
  }
})
