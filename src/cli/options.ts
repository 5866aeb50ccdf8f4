import { DEFAULT_XEN, xenNames } from '../run/xen-versions.ts'
import { HOLES_OPTION, KERNEL, MACHINE, mapNames, RUN, TIER_OPTION, WALL_OPTION } from './machine-options.ts'
import { TOPICS } from './topics.ts'
import type { Verb } from './verb.ts'
import { exploreVerb } from './verbs/explore/explore-options.ts'
import { sweepVerbs } from './verbs/sweep/sweep-options.ts'

/**
 * The one table of the command line: its verbs, their options and examples. The parser, the help, the completions and
 * the man page are all made from it. A new verb is an entry here and a file `verbs/<verb>/<verb>.ts` that exports `run`.
 */

const boot: Verb = {
  name: 'boot',
  summary: 'Boot a model Linux, or a real kernel, and say what became of it',
  arguments: [
    {
      name: 'guest',
      argument: 'GUEST.cfg',
      required: false,
      help: "xl's configuration of a guest with a real kernel",
      files: true,
    },
  ],
  options: [
    ...MACHINE,
    ...KERNEL,
    WALL_OPTION,
    { name: 'json', kind: 'flag', help: 'print one JSON document' },
    {
      name: 'trace',
      kind: 'file',
      argument: 'FILE',
      help: 'write every event there, one JSON a line',
      files: true,
    },
    {
      name: 'expect',
      kind: 'choice',
      argument: 'OUTCOME',
      help: 'exit with 1 unless booted, refused or fault comes out',
      values: () => ['booted', 'refused', 'fault'],
    },
  ],
  examples: [
    { command: 'xenolith boot', does: "the seed's scenario: a refused page, and its repair" },
    {
      command: 'xenolith boot --linux C --memory 3072M --expect booted',
      does: 'another generation, checked',
    },
    {
      command: 'xenolith boot --kernel vmlinuz --ramdisk initrd.img --memory 512M',
      does: 'a real kernel, with a terminal; ^] leaves it',
    },
  ],
  statuses: [
    [0, 'a model: carried out and told; a real kernel: it powered off'],
    [1, 'a model: not what --expect names; a real kernel: it rebooted'],
  ],
  load: () => import('./verbs/boot/boot.ts'),
}

const script: Verb = {
  name: 'script',
  summary: 'Run a script of hypercalls under Xen and print what it answers',
  arguments: [
    {
      name: 'file',
      argument: 'FILE',
      required: true,
      help: 'the script, or - for standard input',
      files: true,
    },
  ],
  options: [
    {
      name: 'xen',
      kind: 'choice',
      argument: 'PROFILE',
      help: 'whose rules; a release build prints less',
      values: xenNames,
      default: DEFAULT_XEN.others,
    },
    HOLES_OPTION,
    WALL_OPTION,
    { name: 'domu', kind: 'flag', help: 'run it in a guest, not in the control domain' },
    {
      name: 'frames',
      kind: 'file',
      argument: 'RECORDING',
      help: 'use the frames of this recording of real Xen',
      files: true,
    },
    {
      name: 'trace',
      kind: 'file',
      argument: 'FILE',
      help: 'write every event there, one JSON a line',
      files: true,
    },
    { name: 'check', kind: 'flag', help: 'count and check safety after each operation; 1 if broken' },
    { name: 'json', kind: 'flag', help: 'print JSON lines, as the recordings have them' },
  ],
  examples: [
    { command: 'xenolith script pin.txt', does: "results and Xen's lines" },
    { command: 'xenolith script --xen seed --domu pin.txt', does: 'an older Xen, an ordinary guest' },
    { command: 'xenolith script --json pin.txt', does: 'a transcript for programs' },
  ],
  statuses: [
    [0, 'the script was run and told, whatever Xen answered'],
    [1, '--check found a wrong count or a broken property'],
  ],
  load: () => import('./verbs/script/script.ts'),
}

const whoVerb: Verb = {
  name: 'who',
  summary: 'Say what a frame is, who holds it and since when',
  arguments: [
    { name: 'frame', argument: 'FRAME', required: true, help: 'pfn:bacf7, mfn:b1d89 or va:ffff8800bacf7000' },
  ],
  options: RUN,
  examples: [
    { command: 'xenolith who pfn:bacf7', does: "the seed's frame, when it was refused" },
    { command: 'xenolith who va:ffffffff811c5000 --linux C', does: "the kernel's own L4" },
    { command: 'xenolith who mfn:b1d89 --at 9000 --trace boot.jsonl', does: 'in the middle of a traced run' },
  ],
  load: () => import('./verbs/who/who.ts'),
}

const whyVerb: Verb = {
  name: 'why',
  summary: 'Say what Xen last refused, and which entry stood in the way',
  options: RUN,
  examples: [
    { command: 'xenolith why', does: "the seed's refusal" },
    { command: 'xenolith why --script pin.txt --at 40', does: "a script's refusal" },
    { command: 'xenolith why --map seedlike-bacf7 --json', does: 'as JSON' },
  ],
  load: () => import('./verbs/why/why.ts'),
}

const replayVerb: Verb = {
  name: 'replay',
  summary: 'Run a trace again and compare it, event by event',
  arguments: [
    { name: 'file', argument: 'TRACE', required: true, help: 'a file that --trace wrote, or -', files: true },
  ],
  options: [
    { name: 'json', kind: 'flag', help: 'print one JSON document' },
    { ...TIER_OPTION, explainedIn: 'kernels' },
  ],
  examples: [
    { command: 'xenolith boot --trace boot.jsonl', does: 'write a trace' },
    { command: 'xenolith replay boot.jsonl', does: 'run it again' },
    { command: 'zcat boot.jsonl.gz | xenolith replay -', does: 'a compressed one' },
  ],
  statuses: [
    [0, 'every event was the same'],
    [1, 'an event differs'],
  ],
  load: () => import('./verbs/replay/replay.ts'),
}

const explain: Verb = {
  name: 'explain',
  summary: 'Say in a sentence what a pasted log is about, and what to do',
  arguments: [
    {
      name: 'files',
      argument: 'FILE',
      required: false,
      many: true,
      help: 'a log as pasted; standard input without one',
      files: true,
    },
  ],
  options: [
    { name: 'json', kind: 'flag', help: 'print one JSON document' },
    { name: 'sarif', kind: 'flag', help: 'print SARIF 2.1.0, for code-scanning pages' },
    {
      name: 'redact',
      kind: 'flag',
      help: 'take out host names, MACs, serials, addresses and user paths',
    },
    { name: 'no-boot', kind: 'flag', help: "do not boot the log's machine in the model" },
  ],
  examples: [
    { command: 'xl dmesg | xenolith explain', does: 'what Xen has just said' },
    { command: 'xenolith explain serial.log --json', does: 'for programs' },
    { command: 'xenolith explain --redact crash.log > report.txt', does: 'to send on' },
  ],
  statuses: [
    [0, 'explained'],
    [1, 'nothing of Xen in the log'],
    [3, 'ambiguous: all readings, and what would tell them apart'],
  ],
  note: 'Nothing leaves this machine.',
  load: () => import('./verbs/explain/explain.ts'),
}

const maps: Verb = {
  name: 'maps',
  summary: 'List the memory maps that ship, or print one',
  arguments: [
    {
      name: 'name',
      argument: 'NAME|FILE',
      required: false,
      help: 'a map to print as a boot log would show it',
      values: mapNames,
      files: true,
    },
  ],
  options: [
    { name: 'json', kind: 'flag', help: 'print one JSON document' },
    { name: 'wide', kind: 'flag', help: 'also say where each map comes from' },
  ],
  examples: [
    { command: 'xenolith maps', does: 'what ships' },
    { command: 'xenolith maps msi-h61m-p23-8g', does: "one machine's map" },
    { command: 'xenolith maps dmesg.txt --json > map.json', does: "a pasted log's map, to edit" },
  ],
  load: () => import('./verbs/maps/maps.ts'),
}

const versionsVerb: Verb = {
  name: 'versions',
  summary: 'List the versions of Xen, or say in what one differs',
  arguments: [
    {
      name: 'name',
      argument: 'PROFILE',
      required: false,
      help: 'a version, told field by field by the one before it',
      values: xenNames,
    },
  ],
  options: [{ name: 'json', kind: 'flag', help: 'print one JSON document' }],
  examples: [
    { command: 'xenolith versions', does: 'what --xen takes, and the holes that are open' },
    { command: 'xenolith versions 4.20', does: 'what it has that 4.17 had not' },
    { command: 'xenolith versions --json', does: 'everything, for programs' },
  ],
  load: () => import('./verbs/versions/versions.ts'),
}

const serve: Verb = {
  name: 'serve',
  summary: 'Serve the page in which a boot can be seen, to this machine only',
  options: [
    {
      name: 'port',
      kind: 'string',
      argument: 'NUMBER',
      help: 'where to listen; 0 takes any that is free',
      default: '7780',
    },
    { name: 'open', kind: 'flag', help: 'open it in the browser' },
  ],
  examples: [
    { command: 'xenolith serve --open', does: 'the page, in the browser' },
    { command: 'xenolith serve --port 8080', does: 'at another port' },
    { command: 'xenolith serve --port 0', does: 'at any port that is free' },
  ],
  note: 'The page is one file and needs no server: web/dist/index.html opens as it is.',
  load: () => import('./verbs/serve/serve.ts'),
}

const completion: Verb = {
  name: 'completion',
  summary: 'Print the completion script of a shell',
  arguments: [
    {
      name: 'shell',
      argument: 'SHELL',
      required: true,
      help: 'bash, zsh or fish',
      values: () => ['bash', 'zsh', 'fish'],
    },
  ],
  options: [],
  examples: [
    { command: 'source <(xenolith completion bash)', does: 'for this bash' },
    { command: 'xenolith completion zsh > ~/.zfunc/_xenolith', does: 'a folder of $fpath' },
    { command: 'xenolith completion fish > ~/.config/fish/completions/xenolith.fish', does: 'for good' },
  ],
  load: () => import('./verbs/completion/completion.ts'),
}

const help: Verb = {
  name: 'help',
  summary: 'Print the help of a verb',
  arguments: [
    {
      name: 'verb',
      argument: 'VERB',
      required: false,
      help: 'the verb, or kernels, or models; without one, all are listed',
      values: () => [...VERBS.map((verb) => verb.name), ...TOPICS.map((topic) => topic.name)],
    },
  ],
  options: [],
  examples: [
    { command: 'xenolith help', does: 'the verbs' },
    { command: 'xenolith help boot', does: 'one of them' },
    { command: 'xenolith boot --help', does: 'the same' },
  ],
  load: () => import('./verbs/help/help.ts'),
}

/** All verbs, in the order of the help. */
export const VERBS: readonly Verb[] = [
  boot,
  explain,
  script,
  whoVerb,
  whyVerb,
  replayVerb,
  exploreVerb,
  ...sweepVerbs(MACHINE, KERNEL, mapNames),
  maps,
  versionsVerb,
  serve,
  completion,
  help,
]
