import { CAUSES } from '../causes/index.ts'
import type { Report, ReportCause } from './report.ts'

/**
 * Reports as SARIF 2.1.0, which code-scanning pages read (docs.oasis-open.org/sarif): a rule for every cause, a result for
 * every cause found, at the lines of the log that say so.
 */
export function sarif(reports: readonly Report[], version: string): object {
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'xenolith',
            version,
            rules: CAUSES.map((cause) => ({
              id: cause.class,
              shortDescription: { text: cause.name },
              fullDescription: { text: cause.explanation.join(' ') },
              help: { text: [...cause.check, ...cause.avoid].join('\n') },
            })),
          },
        },
        artifacts: reports.map((report) => ({ location: { uri: uriOf(report) } })),
        results: reports.flatMap((report) => report.causes.map((cause, i) => result(report, cause, i))),
      },
    ],
  }
}

function result(report: Report, cause: ReportCause, rank: number): object {
  return {
    ruleId: cause.class,
    ruleIndex: CAUSES.findIndex((one) => one.class === cause.class),
    // The first reading is the answer; the others are for whoever doubts it.
    level: cause.benign ? 'note' : rank === 0 ? 'error' : 'warning',
    message: { text: [cause.title, ...cause.details].join(' ') },
    rank: cause.score,
    locations: (cause.evidence.length === 0 ? [{ line: 1, text: '' }] : cause.evidence).map(
      ({ line, text }) => ({
        physicalLocation: {
          artifactLocation: { uri: uriOf(report) },
          region: { startLine: line, ...(text === '' ? {} : { snippet: { text } }) },
        },
      }),
    ),
    properties: { confidence: cause.confidence, xen: report.xen?.version ?? null },
  }
}

/** A relative reference, its odd characters escaped; standard input has a name of its own. */
function uriOf({ name }: Report): string {
  return name === null ? 'stdin' : name.split(/[\\/]/).map(encodeURIComponent).join('/')
}
