import type { Group, Summary } from '../sweep/summary.ts'

/**
 * A summary as SARIF 2.1.0, which code-scanning pages read (docs.oasis-open.org/sarif): a rule for each way to fail, a result
 * for each map on which it happens.
 */
export function sarifReport({ groups }: Summary, version: string): object {
  const maps = [...new Set(groups.flatMap((group) => Object.keys(group.maps)))]
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'xenolith',
            version,
            rules: groups.map((group) => ({
              id: ruleId(group),
              shortDescription: { text: group.signature },
              fullDescription: { text: boundaryText(group) },
              help: { text: group.smallest?.command ?? group.first.command },
            })),
          },
        },
        artifacts: maps.map((map) => ({ location: { uri: uriOf(map) } })),
        results: groups.flatMap((group, ruleIndex) =>
          Object.entries(group.maps).map(([map, count]) => ({
            ruleId: ruleId(group),
            ruleIndex,
            level: 'error',
            message: {
              text: `${count} machine${count === 1 ? '' : 's'} with the map ${map}: ${group.signature}. ${boundaryText(group)} Try: ${group.first.command}`,
            },
            locations: [
              { physicalLocation: { artifactLocation: { uri: uriOf(map) }, region: { startLine: 1 } } },
            ],
          })),
        ),
      },
    ],
  }
}

function ruleId({ signature }: Group): string {
  return signature
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
}

function boundaryText({ count, smallest }: Group): string {
  const where = (smallest?.boundaries ?? []).map(({ says }) => `${says}.`)
  return [`${count} machine${count === 1 ? '' : 's'} of the sweep.`, ...where].join(' ')
}

/** A map's name or file as a relative reference. */
function uriOf(map: string): string {
  return map.split(/[\\/]/).map(encodeURIComponent).join('/')
}
