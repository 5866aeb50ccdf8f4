import { foreignText } from '../../bits/foreign-text.ts'
import type { Confirmation } from '../confirm/confirm.ts'
import type { Decoded } from '../decode/decoded.ts'
import { sayWord } from '../decode/type-words.ts'
import type { Report, ReportCause } from './report.ts'
import { wrapped } from './wrap.ts'

const WIDTH = 80

/**
 * A report for a terminal, in lines of 80 columns. The first is the cause in one sentence; what follows is in the order
 * in which a reader asks: which lines say so, what do the numbers mean, why, is it so, what now.
 */
export function textReport(report: Report): string[] {
  return reportLines(report).map(foreignText)
}

function reportLines(report: Report): string[] {
  const [cause, ...others] = report.causes
  const lines = wrapped(report.title, '')
  if (report.verdict === 'no-xen-evidence') return [...lines, ...damageLines(report), ...whatToGive()]
  lines.push('')
  if (cause !== undefined) lines.push(...labelled('class', `${cause.class} (${sure(cause)}): ${cause.name}`))
  if (report.xen !== null) {
    const build = report.xen.debug === undefined ? '' : report.xen.debug ? ', debug build' : ', release build'
    lines.push(...labelled('xen', `${report.xen.version}${build}; ${report.xen.sure}`))
  }
  lines.push(...labelled('log', logText(report)))
  for (const { line, what } of report.log.damage)
    lines.push(...labelled('', line === undefined ? what : `line ${line}: ${what}`))

  if (report.verdict === 'ambiguous') {
    lines.push('', 'AMBIGUOUS: what would tell the readings apart')
    for (const text of report.wouldTell) lines.push(...wrapped(text, '  - ', 4))
  }
  if (cause !== undefined) {
    if (cause.evidence.length > 0) lines.push('', 'WHAT THE LOG SAYS', ...evidenceLines(cause))
    for (const detail of cause.details) lines.push(...wrapped(detail))
  }
  lines.push(...decodedLines(report.decoded))
  if (cause !== undefined) {
    lines.push('', 'WHY')
    cause.explanation.forEach((text, i) => {
      lines.push(...(i > 0 ? [''] : []), ...wrapped(text))
    })
  }
  if (report.confirmation !== null) {
    lines.push('', 'BOOTED IN THE MODEL', ...confirmationLines(report.confirmation))
  }
  if (cause !== undefined) {
    const told = report.verdict === 'ambiguous' && report.wouldTell.some((text) => cause.check.includes(text))
    if (!told) lines.push(...list('WHAT TO CHECK', cause.check))
    lines.push(...list('FIXED BY', cause.fixes.map(fixText)))
    lines.push(...list('WHAT AVOIDS IT', cause.avoid))
  }
  if (others.length > 0) {
    lines.push('', 'OTHER READINGS')
    for (const other of others) {
      lines.push(...wrapped(`${other.class} (${sure(other)}): ${other.title}`, '  - ', 4))
    }
  }
  return lines
}

function sure({ confidence, score }: ReportCause): string {
  return `${confidence}, ${score} of 100`
}

function labelled(label: string, text: string): string[] {
  return wrapped(text, `${label.padEnd(6)}`, 6)
}

function logText({ log }: Report): string {
  const lines = `${log.lines} ${log.lines === 1 ? 'line' : 'lines'}`
  return log.boots > 1 ? `${lines}, ${log.boots} boots` : lines
}

function damageLines({ log }: Report): string[] {
  return log.damage.flatMap(({ line, what }) =>
    wrapped(line === undefined ? what : `line ${line}: ${what}`, ''),
  )
}

function whatToGive(): string[] {
  return wrapped(
    "What helps: the output of 'xl dmesg', a serial console's capture, or the kernel's log of a guest that runs under Xen.",
    '',
  )
}

/** The log's own lines, cut at the terminal's width rather than wrapped: they are to be recognised. */
function evidenceLines({ evidence }: ReportCause): string[] {
  const digits = String(Math.max(...evidence.map(({ line }) => line))).length
  return evidence.flatMap(({ line, text }) => {
    const shown = `  ${String(line).padStart(digits)}  ${text}`
    return shown.length <= WIDTH ? [shown] : wrapLog(shown, digits + 4)
  })
}

/** A long line of the log goes on below itself, so that its words stay whole for a search. */
function wrapLog(text: string, indent: number): string[] {
  const head = /^\s*\d+\s{2}/.exec(text)?.[0] ?? ''
  return wrapped(text.slice(head.length), head, indent + 2)
}

function decodedLines(decoded: Decoded): string[] {
  const lines: string[] = []
  const add = (label: string, text: string) => lines.push(...wrapped(text, `  ${label}  `, 6))
  for (const word of decoded.typeWords) add(word.word, sayWord(word as never))
  if (decoded.typeWords.length > 0) lines.push(...wrapped(decoded.typeWords[0].why))
  for (const { word, mfn, flags } of decoded.entries.slice(0, 8)) add(word, `entry: frame ${mfn}, ${flags}`)
  for (const { word, flags } of decoded.flags) add(word, flags.join('; '))
  for (const walk of decoded.walks.slice(0, 4)) add(walk.address, `in ${walk.region}; the walk ${walk.end}`)
  for (const { says } of decoded.traps.slice(0, 4)) add('trap', says)
  for (const { call, result, args } of decoded.calls.slice(0, 8))
    add('call', `${call} -> ${result}${args.length > 0 ? ` [${args.join(' ')}]` : ''}`)
  for (const { value, name, where } of decoded.errors
    .filter((error) => error.where === 'message')
    .slice(0, 4))
    add(value, `${name}, in a ${where}`)
  for (const { name, value, says } of decoded.registers.slice(0, 12)) add(`${name.padEnd(3)} ${value}`, says)
  const inRegisters = new Set(decoded.registers.map(({ value }) => value))
  for (const { word, says } of decoded.poison.filter((one) => !inRegisters.has(one.word)).slice(0, 4))
    add(word, says)
  for (const { id, says } of decoded.domains.filter((domain) => !/^\d{1,4}$/.test(domain.id)).slice(0, 4))
    add(id, `domain ${says}`)
  return lines.length > 0 ? ['', 'DECODED', ...lines] : []
}

function confirmationLines({ says, missing, holder, ran }: Confirmation): string[] {
  const lines = wrapped(says)
  for (const item of missing ?? []) lines.push(...wrapped(item, '  - ', 4))
  if (holder !== undefined) {
    lines.push(
      ...wrapped(
        `the entry that holds it: slot ${holder.slot} of the L1 at pfn ${holder.tablePfn} (${holder.entry}), which maps ${holder.address}`,
      ),
    )
    if (holder.written !== null) {
      const { region, buffer } = holder.written
      lines.push(
        ...wrapped(
          `written while ${region} was filled, with the buffer at start ${buffer.start}, end ${buffer.end}, top ${buffer.top}`,
        ),
      )
    }
  }
  if (ran !== undefined) lines.push('  Run it again:', ...wrapped(ran.command, '    ', 6))
  return lines
}

function list(heading: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : ['', heading, ...items.flatMap((text) => wrapped(text, '  - ', 4))]
}

function fixText({ project, commit, release, what }: ReportCause['fixes'][number]): string {
  const where = [project, commit, release].filter((part) => part !== undefined).join(' ')
  return `${where}: ${what}`
}
