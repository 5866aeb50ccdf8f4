import { explainLines } from '../explain/explain.ts'
import { logDigest } from '../explain/log/digest.ts'
import { redacted, redactedText } from '../explain/redact.ts'
import type { Report } from '../explain/report.ts'
import { sarif } from '../explain/sarif.ts'
import { textReport } from '../explain/text-report.ts'
import { BadInput } from '../run/boot-options.ts'
import { readChunks } from './files.ts'
import { type Io, painted } from './io.ts'
import { packageVersion } from './main.ts'

/** What `xenolith explain` takes. */
export type ExplainFlags = {
  readonly files?: readonly string[]
  readonly json?: boolean
  readonly sarif?: boolean
  readonly redact?: boolean
  readonly boot?: boolean
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
    io.out(JSON.stringify(reports.length === 1 ? reports[0] : { schema: 1, reports }, null, 2))
  else if (options.sarif) io.out(JSON.stringify(sarif(reports, packageVersion()), null, 2))
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
  readChunks(file, (chunk) => digest.push(chunk))
  const { lines, damage, binary } = digest.end()
  const name = file === '-' ? undefined : options.redact ? redactedText(file) : file
  const result = explainLines(options.redact ? redacted(lines) : lines, {
    ...(name === undefined ? {} : { name }),
    damage,
    confirm: options.boot !== false,
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
