import { DEFAULT_XEN, xenNames } from '../../../run/xen-versions.ts'
import { HOLES_OPTION } from '../../machine-options.ts'
import type { Verb } from '../../verb.ts'
import { KEY_OPTIONS, QUEUE_OPTION, VERIFY_OPTION } from '../sweep/sweep-options.ts'

/** The verb that searches; the table of all verbs is in options.ts. */
export const exploreVerb: Verb = {
  name: 'explore',
  summary: "Search for hypercalls that break the safety of Xen's rules",
  options: [
    {
      name: 'xen',
      kind: 'choice',
      argument: 'PROFILE',
      help: 'whose rules',
      values: xenNames,
      default: DEFAULT_XEN.others,
    },
    HOLES_OPTION,
    { name: 'domu', kind: 'flag', help: 'search in a guest, not in the control domain' },
    { name: 'pages', kind: 'string', argument: 'N', help: 'scratch pages, 1 to 5', default: '3' },
    {
      name: 'moves',
      kind: 'file',
      argument: 'FILE',
      help: 'search these script lines, not the usual moves',
      files: true,
    },
    {
      name: 'depth',
      kind: 'string',
      argument: 'N',
      help: 'all sequences of so many moves',
      default: '4',
    },
    {
      name: 'walks',
      kind: 'string',
      argument: 'N',
      help: 'then so many random walks',
      default: '200000',
    },
    { name: 'length', kind: 'string', argument: 'N', help: 'moves of a walk', default: '40' },
    { name: 'seed', kind: 'string', argument: 'N', help: 'of the walks', default: '1' },
    { name: 'all', kind: 'flag', help: 'go on when every open hole has a finding' },
    { name: 'shard', kind: 'string', argument: 'I/N', help: 'only part I of N of the walks' },
    { ...QUEUE_OPTION, help: "hand the walks to 'xenolith worker' by NATS" },
    VERIFY_OPTION,
    ...KEY_OPTIONS,
    { name: 'threads', kind: 'string', argument: 'N', help: 'default: all cores; changes no result' },
    {
      name: 'checkpoint',
      kind: 'file',
      argument: 'FILE',
      help: 'save there now and then; ^C saves in any case',
      files: true,
    },
    { name: 'resume', kind: 'file', argument: 'FILE', help: 'go on from a checkpoint', files: true },
    {
      name: 'expect',
      kind: 'choice',
      argument: 'OUTCOME',
      help: 'exit with 1 unless found or nothing comes out',
      values: () => ['found', 'nothing'],
    },
    { name: 'json', kind: 'flag', help: 'print one JSON document' },
  ],
  examples: [
    { command: 'xenolith explore', does: 'the rules of 4.17: nothing is found' },
    { command: 'xenolith explore --holes 182', does: 'a hole of 2016, found again' },
    { command: 'xenolith explore --xen seed --json', does: 'the Xen of 2011 as it was' },
  ],
  statuses: [
    [0, 'the search was carried out and told, whatever it found'],
    [1, 'the outcome is not the one that --expect names'],
    [130, 'interrupted; the checkpoint says where to go on'],
  ],
  load: () => import('./explore.ts'),
}
