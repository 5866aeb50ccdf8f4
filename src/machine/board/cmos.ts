/**
 * The clock behind ports 0x70 and 0x71, and the few registers of it that say that it works. It follows the machine's time and
 * cannot be set.
 */
type Field = (date: Date) => number

/** Registers of the time and the date, two decimal digits each. */
const FIELDS: ReadonlyMap<number, Field> = new Map<number, Field>([
  [0x00, (date) => date.getUTCSeconds()],
  [0x02, (date) => date.getUTCMinutes()],
  [0x04, (date) => date.getUTCHours()],
  [0x06, (date) => date.getUTCDay() + 1],
  [0x07, (date) => date.getUTCDate()],
  [0x08, (date) => date.getUTCMonth() + 1],
  [0x09, (date) => date.getUTCFullYear() % 100],
  [0x32, (date) => Math.floor(date.getUTCFullYear() / 100)],
])

/** A: no update is under way. B: 24 hours, decimal digits. D: its battery is good. */
const STATUS: ReadonlyMap<number, number> = new Map([
  [0x0a, 0x26],
  [0x0b, 0x02],
  [0x0d, 0x80],
])

/**
 * A register of the clock; 0 where there is nothing to say.
 *
 * @param time milliseconds since 1970
 */
export function readCmos(index: number, time: number): number {
  const field = FIELDS.get(index)
  if (field === undefined) return STATUS.get(index) ?? 0
  const value = field(new Date(time))
  return (Math.floor(value / 10) << 4) | (value % 10)
}
