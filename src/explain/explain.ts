import type { Cause, Confidence, Match } from './causes/cause.ts'
import { CAUSES } from './causes/index.ts'
import { refusedEntries, tablesMappedWritable, writableAliases } from './causes/shared.ts'
import { type Confirmation, type ConfirmInput, confirm } from './confirm/confirm.ts'
import { type Decoded, decode } from './decode/decoded.ts'
import { seriesOf } from './decode/fingerprint.ts'
import { earlyTableSuspects } from './decode/suspects.ts'
import { crashed, type Evidence, evidenceOf, isXen, type LoggedXen } from './evidence.ts'
import { type Damage, type NumberedLine, numberedLines, readLog } from './log/read-log.ts'
import type { Report, ReportCause } from './report/report.ts'

export type ExplainOptions = {
  /** The file's name, for the report. */
  readonly name?: string
  /** Whether to boot the log's machine in the model; the default is yes. */
  readonly confirm?: boolean
  /** What was noted when the log was read from a file. */
  readonly damage?: readonly Damage[]
}

/**
 * From a pasted log to its cause.
 *
 *     text → lines → records, boot by boot → evidence → causes, most likely first → the model boots the same machine
 */
export function explainText(text: string, name?: string): Report {
  return explainLines(numberedLines(text), name === undefined ? {} : { name })
}

/** What a log's lines say: a report, boot by boot. */
export function explainLines(lines: readonly NumberedLine[], options: ExplainOptions = {}): Report {
  const log = readLog(lines)
  let before: Evidence | undefined
  const boots = log.boots.map((boot) => {
    before = evidenceOf(boot, before)
    return before
  })
  const base = {
    schema: 1 as const,
    name: options.name ?? null,
    log: {
      lines: lines.at(-1)?.number ?? 0,
      boots: boots.length,
      damage: [...(options.damage ?? []), ...log.damage],
    },
  }
  if (!boots.some(isXen)) {
    const title =
      lines.length === 0
        ? 'The log is empty.'
        : 'Nothing in this log is of Xen or of a guest that runs under it.'
    return {
      ...base,
      verdict: 'no-xen-evidence',
      title,
      causes: [],
      wouldTell: [],
      xen: null,
      decoded: NOTHING,
      confirmation: null,
    }
  }
  const found = boots.flatMap((evidence) => matches(evidence)).toSorted(byRank)
  const causes = merged(found)
  const main = found[0]?.evidence ?? boots.at(-1)!
  const confirmation = options.confirm === false ? null : (confirmed(main) ?? null)
  const ambiguous = isAmbiguous(causes, main)
  return {
    ...base,
    verdict: ambiguous ? 'ambiguous' : 'explained',
    title: causes[0].title,
    causes,
    wouldTell: ambiguous ? wouldTell(causes, main) : [],
    xen:
      main.xen.how === 'nothing'
        ? (boots.find(({ xen }) => xen.how !== 'nothing')?.xen ?? main.xen)
        : main.xen,
    decoded: decode(main),
    confirmation,
  }
}

const NOTHING: Decoded = {
  typeWords: [],
  entries: [],
  flags: [],
  errors: [],
  domains: [],
  walks: [],
  traps: [],
  calls: [],
  registers: [],
  poison: [],
}

type Found = { readonly cause: Cause; readonly match: Match; readonly evidence: Evidence }

function matches(evidence: Evidence): Found[] {
  return CAUSES.flatMap((cause) => {
    const match = cause.match(evidence)
    return match === undefined ? [] : [{ cause, match, evidence }]
  })
}

/** By score; of equals the later boot, as a log ends with what it is about. */
function byRank(a: Found, b: Found): number {
  return b.match.score - a.match.score || b.evidence.firstLine - a.evidence.firstLine
}

/** Each class once, with the lines of all its boots; what cannot be meant any more is left out. */
function merged(found: readonly Found[]): ReportCause[] {
  const best = found[0]?.match.score ?? 0
  const classes = new Map<string, ReportCause>()
  for (const { cause, match, evidence } of found) {
    if (match.score < best / 3) continue
    // Where something else explains the log well, that it might be nothing is no reading of it.
    if (cause.class === 'not-mmu' && best >= LIKELY && match.score < best) continue
    const shown = linesShown(evidence, match.lines)
    const same = classes.get(cause.class)
    if (same !== undefined) {
      classes.set(cause.class, { ...same, evidence: [...same.evidence, ...shown].slice(0, MOST_LINES) })
      continue
    }
    classes.set(cause.class, {
      class: cause.class,
      name: cause.name,
      score: match.score,
      confidence: confidenceOf(match.score),
      title: match.title,
      details: match.details ?? [],
      evidence: shown,
      explanation: cause.explanation,
      check: cause.check,
      fixes: cause.fixes,
      avoid: cause.avoid,
      benign: cause.benign === true,
    })
  }
  return [...classes.values()]
}

const MOST_LINES = 12
const LIKELY = 60

function linesShown(evidence: Evidence, lines: readonly number[]) {
  return [...lines]
    .sort((a, b) => a - b)
    .slice(0, MOST_LINES)
    .map((line) => ({ line, text: evidence.records.find((record) => record.line === line)?.text ?? '' }))
}

function confidenceOf(score: number): Confidence {
  return score >= 85 ? 'certain' : score >= LIKELY ? 'likely' : 'possible'
}

/** Two readings so near that the log does not decide, or words that two versions read differently. */
function isAmbiguous(causes: readonly ReportCause[], evidence: Evidence): boolean {
  if (causes[0].class === 'ambiguous-message') return true
  return evidence.otherLayouts.length > 0 && evidence.badTypes.length > 0
}

function wouldTell(causes: readonly ReportCause[], evidence: Evidence): string[] {
  return [
    ...(evidence.otherLayouts.length > 0
      ? [
          `The type words read differently in Xen ${evidence.otherLayouts.join(' and ')}: the version of Xen decides (xl info, or the first lines of xl dmesg).`,
        ]
      : []),
    ...(causes[0].class === 'ambiguous-message' ? causes[0].check : []),
  ]
}

/** Boots the log's machine in the model, when the log is of an early boot and its trouble is of this kind. */
function confirmed(evidence: Evidence): Confirmation | undefined {
  const [refused] = [...writableAliases(evidence), ...tablesMappedWritable(evidence)]
  const [entry] = refusedEntries(evidence)
  const pfn = refused?.pfn ?? entry?.fields.pfn
  return confirm({
    lines: evidence.lines,
    crashed: crashed(evidence),
    ...(pfn === undefined ? {} : { refused: { pfn, exp: refused?.exp.type ?? 'writable' } }),
    suspects: earlyTableSuspects(evidence).map((suspect) => suspect.pfn),
    ...provenXen(evidence.xen),
  })
}

/** The release of Xen where the log proves it: its banner, or line numbers. */
function provenXen({ how, to, debug }: LoggedXen): Pick<ConfirmInput, 'xen'> {
  if (how === 'wording' || how === 'nothing') return {}
  const release = seriesOf(to)
  return release === undefined ? {} : { xen: { release, build: debug === false ? 'release' : 'debug' } }
}
