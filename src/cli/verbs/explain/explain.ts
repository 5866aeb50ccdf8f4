import { explainLines } from '../../../explain/explain.ts'
import { logDigest } from '../../../explain/log/digest.ts'
import { redacted, redactedText } from '../../../explain/report/redact.ts'
import type { Report } from '../../../explain/report/report.ts'
import { sarif } from '../../../explain/report/sarif.ts'
import { textReport } from '../../../explain/report/text-report.ts'
import { readChunks } from '../../../files/read.ts'
import { BadInput } from '../../../run/boot/boot-options.ts'
import { type Io, painted } from '../../io.ts'
import { packageVersion } from '../../version.ts'

/** What `xenolith explain` takes. */
export type ExplainFlags = {
  readonly files?: readonly string[]
  readonly json?: boolean
  readonly sarif?: boolean
  readonly redact?: boolean
  readonly noBoot?: boolean
}

/** The exit statuses of a log's answer. */
const STATUS = { explained: 0, 'no-xen-evidence': 1, ambiguous: 3 } as const

/** Says what a pasted log is about. Of several logs the status is the one that asks for most attention. */
export function run(options: ExplainFlags, io: Io): number {
  if (options.json && options.sarif)
    throw new BadInput('--json and --sarif exclude each other; keep one of them')
  const files = options.files === undefined || options.files.length === 0 ? ['-'] : options.files
  const reports = files.map((file) => report(file, options))
  if (options.json)
    io.json(JSON.stringify(reports.length === 1 ? reports[0] : { schema: 1, reports }, null, 2))
  else if (options.sarif) io.json(JSON.stringify(sarif(reports, packageVersion()), null, 2))
  else for (const [i, one] of reports.entries()) show(one, io, reports.length > 1, i > 0)
  const statuses = reports.map(({ verdict }) => STATUS[verdict])
  return statuses.includes(3) ? 3 : statuses.includes(0) ? 0 : 1
}

/** `xenolith < crash.log`: explains standard input; undefined when there is nothing on it. */
export function explainInput(io: Io): number | undefined {
  const one = report('-', {})
  if (one.log.lines === 0) return undefined
  show(one, io, false, false)
  return STATUS[one.verdict]
}

function report(file: string, options: ExplainFlags): Report {
  const digest = logDigest()
  const push = asUtf8((chunk) => digest.push(chunk), file)
  readChunks(file, push)
  const { lines, damage, binary } = digest.end()
  const name = file === '-' ? undefined : options.redact ? redactedText(file) : file
  const result = explainLines(options.redact ? redacted(lines) : lines, {
    ...(name === undefined ? {} : { name }),
    damage,
    confirm: options.noBoot !== true,
  })
  if (!binary || result.verdict !== 'no-xen-evidence') return result
  return { ...result, title: 'This is a binary file and no log: nothing in it reads as a line of Xen.' }
}

function show(report: Report, io: Io, named: boolean, apart: boolean): void {
  if (apart) io.out('')
  if (named) io.out(painted(io, 'dim', `== ${report.name ?? 'standard input'}`))
  const lines = textReport(report)
  const titleEnd = lines.indexOf('')
  lines.forEach((line, i) => {
    const heading = i < titleEnd || /^[A-Z]{2}/.test(line)
    io.out(heading ? painted(io, 'bold', line) : line)
  })
}

/** The first bytes of what compressors write, and what undoes it. */
const COMPRESSED: readonly (readonly [magic: readonly number[], tool: string])[] = [
  [[0x1f, 0x8b], 'zcat'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'zstdcat'],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], 'xzcat'],
  [[0x42, 0x5a, 0x68], 'bzcat'],
]

/** Hands on what is text as it is; UTF-16, which editors of Windows save, is turned into UTF-8. */
function asUtf8(push: (chunk: Uint8Array) => void, file: string): (chunk: Uint8Array) => void {
  let decoder: InstanceType<typeof TextDecoder> | null | undefined
  const encoder = new TextEncoder()
  return (chunk) => {
    if (decoder === undefined) {
      const begins = (...bytes: readonly number[]) => bytes.every((byte, i) => chunk[i] === byte)
      const tool = COMPRESSED.find(([magic]) => begins(...magic))?.[1]
      if (tool !== undefined)
        throw new BadInput(`${file}: this is compressed; write ${tool} ${file} | xenolith explain`)
      decoder = begins(0xff, 0xfe)
        ? new TextDecoder('utf-16le')
        : begins(0xfe, 0xff)
          ? new TextDecoder('utf-16be')
          : null
    }
    push(decoder === null ? chunk : encoder.encode(decoder.decode(chunk, { stream: true })))
  }
}
