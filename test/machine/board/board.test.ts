import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Board, newBoard, PM, readBoard, writeBoard } from '../../../src/machine/board/board.ts'

/** 2024-02-29 23:59:58, a Thursday. */
const LEAP_DAY = 1_709_251_198

function board(hasAcpi = true): Board {
  return newBoard({ wallClock: LEAP_DAY, hasAcpi })
}

function word(b: Board, now: number, port: number, bytes: number): number {
  return Array.from({ length: bytes }, (_, i) => readBoard(b, now, port + i) * 2 ** (8 * i)).reduce(
    (a, c) => a + c,
  )
}

test('the clock follows the machine, in decimal digits, and never says that an update is under way', () => {
  const b = board()
  const read = (index: number, now: number): string => {
    writeBoard(b, now, 0x70, index)
    return readBoard(b, now, 0x71).toString(16)
  }
  const time = (now: number): string[] => [0, 2, 4, 6, 7, 8, 9, 0x32].map((index) => read(index, now))
  assert.deepEqual(time(0), ['58', '59', '23', '5', '29', '2', '24', '20'])
  assert.deepEqual(time(2e9), ['0', '0', '0', '6', '1', '3', '24', '20'])
  assert.deepEqual([read(0xa, 1), read(0xb, 1), read(0xd, 1)], ['26', '2', '80'])
})

test('the counter of the speaker counts down at its own rate while its gate is open', () => {
  const b = board()
  const load = (now: number, mode: number, value: number): void => {
    writeBoard(b, now, 0x43, 0xb0 | (mode << 1))
    writeBoard(b, now, 0x42, value & 0xff)
    writeBoard(b, now, 0x42, value >>> 8)
  }
  const count = (now: number): number => {
    writeBoard(b, now, 0x43, 0x80)
    return readBoard(b, now, 0x42) | (readBoard(b, now, 0x42) << 8)
  }
  load(0, 0, 0xffff)
  assert.equal(count(1e9), 0xffff)
  writeBoard(b, 1e9, 0x61, 1)
  load(1e9, 0, 0xffff)
  assert.equal(count(1.01e9), 0xffff - 11_931)
  assert.equal(readBoard(b, 1.01e9, 0x61), 1)
  assert.equal(readBoard(b, 1.06e9, 0x61), 0x21)
  writeBoard(b, 1.01e9, 0x61, 0)
  assert.equal(count(1.5e9), 0xffff - 11_931)
  // A mode that begins again.
  writeBoard(b, 2e9, 0x61, 1)
  load(2e9, 2, 1000)
  const seen = [0, 1, 2, 3, 4].map((ms) => count(2e9 + ms * 1e6))
  assert.ok(
    seen.every((n) => n > 0 && n <= 1000),
    String(seen),
  )
  // What is latched stays, however late it is read.
  load(3e9, 0, 0x1234)
  writeBoard(b, 3e9, 0x43, 0xc8)
  assert.deepEqual([readBoard(b, 4e9, 0x42), readBoard(b, 4e9, 0x42)], [0x34, 0x12])
})

test('power management is there on a board with ACPI, and its timer has 24 bits', () => {
  const b = board()
  assert.equal(word(b, 0, PM.control, 2), 1)
  assert.equal(word(b, 1e9, PM.timer, 4), 3_579_545)
  assert.equal(word(b, 10e9, PM.timer, 4), 35_795_450 % 2 ** 24)
  writeBoard(b, 0, PM.event + 2, 0x20)
  writeBoard(b, 0, PM.event + 3, 0x01)
  assert.equal(word(b, 0, PM.event, 4), 0x0120_0000)
  // ACPI stays on, and nobody goes to sleep by this.
  writeBoard(b, 0, PM.control, 0x02)
  writeBoard(b, 0, PM.control + 1, 0x3c)
  assert.equal(word(b, 0, PM.control, 2), 0x1c03)
  assert.equal(word(board(false), 1e9, PM.timer, 4), 0xffff_ffff)
})

test('where no device is, and where kernels look for one in vain, there are ones', () => {
  const b = board()
  for (const port of [
    0x20, 0x60, 0x64, 0x80, 0xa1, 0x279, 0x2f8, 0x3c0, 0x3f9, 0xcf8, 0xcf9, 0xcfc, 0xffff,
  ]) {
    writeBoard(b, 0, port, 6)
    assert.equal(readBoard(b, 0, port), 0xff, port.toString(16))
  }
})
