import type { OptionSpec, Verb } from '../../verb.ts'

export const QUEUE_OPTION: OptionSpec = {
  name: 'queue',
  kind: 'string',
  argument: 'URL',
  help: 'NATS JetStream server: nats://host:4222',
}

/** What opens a server; NATS's own command has the same names. */
const KEYS: readonly OptionSpec[] = [
  {
    name: 'creds',
    kind: 'file',
    argument: 'FILE',
    help: "credentials of NATS: a user's JWT and seed",
    files: true,
  },
  { name: 'nkey', kind: 'file', argument: 'FILE', help: "seed of a user's NKey", files: true },
  {
    name: 'tlsca',
    kind: 'file',
    argument: 'FILE',
    help: "who may have signed the server's certificate",
    files: true,
  },
  { name: 'tlscert', kind: 'file', argument: 'FILE', help: 'certificate to show to the server', files: true },
  { name: 'tlskey', kind: 'file', argument: 'FILE', help: 'and its key', files: true },
]

/** The same for whoever hands work to a queue. */
export const KEY_OPTIONS: readonly OptionSpec[] = KEYS.map((option) => ({
  ...option,
  explainedIn: 'worker',
}))

export const VERIFY_OPTION: OptionSpec = {
  name: 'verify',
  kind: 'string',
  argument: 'SHARE',
  help: 'of what the queue says, compute so much here too',
  default: '5%',
}

const THREADS_OPTION: OptionSpec = {
  name: 'threads',
  kind: 'string',
  argument: 'N',
  help: 'threads; all cores without it',
}

/**
 * `sweep` and `worker`, the verbs of sets of machines.
 *
 * @param machine the options of a boot: each is an axis of a sweep, with any number of values
 * @param kernel those of a real kernel
 */
export function sweepVerbs(
  machine: readonly OptionSpec[],
  kernel: readonly OptionSpec[],
  mapNames: () => readonly string[],
): readonly Verb[] {
  return [sweepVerb([...realKernels(kernel), ...axesOf(machine, mapNames)]), worker]
}

/** What a sweep takes of a real kernel's options; those with several values are axes. */
const OF_KERNELS: Readonly<Record<string, OptionSpec['kind']>> = {
  kernel: 'list',
  ramdisk: 'file',
  'dom0-mem': 'list',
  'no-acpi': 'flag',
  until: 'string',
  timeout: 'string',
  tier: 'choice',
}

function realKernels(kernel: readonly OptionSpec[]): OptionSpec[] {
  return kernel
    .filter(({ name }) => Object.hasOwn(OF_KERNELS, name))
    .map((option) => ({ ...option, kind: OF_KERNELS[option.name] }))
}

/** Options that have one value for all machines of a sweep. */
const COMMON = ['holes', 'config', 'maxmem']

function axesOf(machine: readonly OptionSpec[], mapNames: () => readonly string[]): OptionSpec[] {
  return machine
    .filter(({ name }) => name !== 'mfn')
    .map((option) => {
      const { default: _, ...rest } = option
      const kind = option.kind === 'flag' || COMMON.includes(option.name) ? option.kind : 'list'
      const values =
        option.name === 'map' ? () => ['all', 'hosts', 'guests', 'none', ...mapNames()] : option.values
      return { ...rest, kind, explainedIn: 'boot', ...(values === undefined ? {} : { values }) }
    })
}

const sweepVerb = (axes: readonly OptionSpec[]): Verb => ({
  name: 'sweep',
  summary: 'Boot many machines, and say which fail and where the border is',
  arguments: [
    {
      name: 'files',
      argument: 'FILE',
      required: false,
      many: true,
      help: "a sweep file; or 'merge' and what --out wrote",
      files: true,
    },
  ],
  options: [
    { name: 'memory-cap', kind: 'size', argument: 'SIZE', help: 'no guest gets more than this' },
    { name: 'seed', kind: 'string', argument: 'N', help: 'chooses the forecasts to check', default: '1' },
    { name: 'no-forecast', kind: 'flag', help: 'carry every boot out' },
    { name: 'no-shrink', kind: 'flag', help: 'do not look for the smallest machines' },
    {
      name: 'shard',
      explainedIn: 'explore',
      kind: 'string',
      argument: 'I/N',
      help: 'only part I of N',
    },
    { ...THREADS_OPTION, explainedIn: 'explore' },
    { ...QUEUE_OPTION, help: "hand the boots to 'xenolith worker' by NATS" },
    { ...VERIFY_OPTION, explainedIn: 'explore' },
    ...KEY_OPTIONS,
    {
      name: 'checkpoint',
      explainedIn: 'explore',
      kind: 'file',
      argument: 'FILE',
      help: 'save there now and then',
      files: true,
    },
    {
      name: 'resume',
      explainedIn: 'explore',
      kind: 'file',
      argument: 'FILE',
      help: 'go on from a checkpoint',
      files: true,
    },
    { name: 'out', kind: 'file', argument: 'FILE', help: 'write the results there, to merge', files: true },
    { name: 'baseline', kind: 'file', argument: 'FILE', help: 'results to compare with', files: true },
    {
      name: 'expect',
      kind: 'choice',
      argument: 'OUTCOME',
      help: 'exit with 1 unless all are booted',
      values: () => ['booted'],
    },
    { name: 'json', kind: 'flag', help: 'print one JSON document' },
    { name: 'jsonl', kind: 'flag', help: 'print the results, one JSON a line' },
    { name: 'junit', kind: 'flag', help: "print JUnit's XML, for CI" },
    { name: 'sarif', kind: 'flag', help: 'print SARIF 2.1.0, for code-scanning pages' },
    { name: 'html', kind: 'flag', help: 'print a page with pictures of the maps' },
    ...axes,
  ],
  examples: [
    { command: 'xenolith sweep --linux A,B,C --v-end 32M..348M+4M', does: 'all host maps' },
    { command: 'xenolith sweep --kernel vmlinuz --dom0 --until login:', does: 'a real kernel' },
    { command: 'xenolith sweep merge 1.jsonl 2.jsonl --html', does: 'the results of shards' },
  ],
  statuses: [
    [0, 'carried out, whatever failed'],
    [1, 'a failure, or news against the baseline; or a forecast was wrong'],
    [130, 'interrupted'],
  ],
  load: () => import('./sweep.ts'),
})

const worker: Verb = {
  name: 'worker',
  summary: 'Carry out the boots that a sweep has put into a queue',
  options: [
    QUEUE_OPTION,
    ...KEYS,
    THREADS_OPTION,
    { name: 'idle', kind: 'string', argument: 'SECONDS', help: 'end when nothing has come for so long' },
  ],
  examples: [
    { command: 'xenolith worker --queue nats://10.0.0.1:4222', does: 'until ^C' },
    { command: 'xenolith worker --queue nats://ci:4222 --idle 60', does: 'in CI' },
    { command: 'xenolith worker --queue tls://ci --creds ci.creds', does: 'with credentials' },
  ],
  note: 'NATS_USER, NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT\nand NATS_KEY of the environment count too; docs/sweep.md has more.',
  load: () => import('../worker/worker.ts'),
}
