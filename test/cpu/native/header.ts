import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { SPACE } from '../case.ts'
import { MAX_CODE, RECORD, RECORD_HEAD } from '../record.ts'

/** The harness's header, from the table of the record. `node test/cpu/native/header.ts` writes it anew. */
export const HEADER = new URL('record.h', import.meta.url)

export function headerText(): string {
  const hex = (value: number) => `0x${value.toString(16)}`
  return [
    '/* Made from test/cpu/record.ts and case.ts by test/cpu/native/header.ts: do not edit. */',
    ...RECORD.map(({ name, at, meaning }) => `#define RECORD_AT_${name} ${at} /* ${meaning} */`),
    `#define RECORD_HEAD ${RECORD_HEAD}`,
    `#define MAX_CODE ${MAX_CODE}`,
    ...Object.entries(SPACE).map(([name, value]) => `#define SPACE_${name} ${hex(value)}UL`),
    '',
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(HEADER, headerText())
