import { MEMORY_MODELS } from '../run/boot/boot-options.ts'
import { shippedMaps } from '../run/maps/maps.ts'
import { TIERS } from '../run/tiers.ts'
import { DEFAULT_XEN, xenNames } from '../run/xen-versions.ts'
import type { OptionSpec } from './verb.ts'

/** Options that several verbs share: which machine, which kernel, and which run a question is about. */
const generations = () => ['A', 'B0', 'B', 'B+seed', 'C0', 'C', 'D', 'D2', 'low', 'E']

/** The maps that come with the program, by what `--map` calls them. */
export const mapNames = () => shippedMaps().map((map) => map.name)

/** Which holes of the past are open: of every verb that has a profile of Xen. */
export const HOLES_OPTION: OptionSpec = {
  name: 'holes',
  kind: 'string',
  argument: 'LIST',
  help: 'security holes of old that are open: none, or 148,182',
}

/** How long a run may take by the clock on the wall: of verbs that run what somebody else has written. */
export const WALL_OPTION: OptionSpec = {
  name: 'wall',
  kind: 'string',
  argument: 'SECONDS',
  help: 'the most of your time that it takes, whatever it does',
}

/** How the code of a real kernel is executed: of every verb that runs one. */
export const TIER_OPTION: OptionSpec = {
  name: 'tier',
  kind: 'choice',
  argument: 'TIER',
  help: 'interpret its code, or compile what is hot: the same but for time',
  values: () => TIERS,
  default: 'region',
}

/** Which machine and which kernel: what every verb about a boot takes. */
export const MACHINE: readonly OptionSpec[] = [
  {
    name: 'linux',
    kind: 'string',
    argument: 'NAME',
    help: 'generation of early table code, or 2.6.39-rc4',
    values: generations,
    default: 'B',
  },
  {
    name: 'with',
    explainedIn: 'models',
    kind: 'list',
    argument: 'COMMIT',
    help: 'add this commit to it; repeatable',
  },
  {
    name: 'without',
    explainedIn: 'models',
    kind: 'list',
    argument: 'COMMIT',
    help: 'leave this commit out; repeatable',
  },
  {
    name: 'xen',
    kind: 'choice',
    argument: 'PROFILE',
    help: 'version of Xen: seed (2011), 4.1 to 4.21, 4.17-release and the like',
    values: xenNames,
    default: DEFAULT_XEN.model,
  },
  {
    name: 'config',
    explainedIn: 'models',
    kind: 'string',
    argument: 'NAME|FILE',
    help: "a model's configuration, as flatmem; or xl's, of a real kernel",
    values: () => MEMORY_MODELS,
    files: true,
    default: MEMORY_MODELS[0],
  },
  HOLES_OPTION,
  {
    name: 'map',
    kind: 'file',
    argument: 'NAME|FILE',
    help: "memory map, the host's for a dom0: shipped, JSON, a log, -",
    values: mapNames,
    files: true,
  },
  { name: 'dom0', kind: 'flag', help: 'boot as the control domain' },
  {
    name: 'firmware-map',
    explainedIn: 'models',
    kind: 'flag',
    help: "the map is the firmware's: let Xen add the APICs' pages",
  },
  { name: 'domu', kind: 'flag', help: "boot as a guest; the map is then the guest's own" },
  {
    name: 'memory',
    kind: 'size',
    argument: 'SIZE',
    help: '3072M, 0x60008p (pages); a plain number is KiB',
  },
  {
    name: 'maxmem',
    explainedIn: 'models',
    kind: 'size',
    argument: 'SIZE',
    help: "what a domU may come to have: where xl's map ends",
  },
  {
    name: 'no-e820',
    explainedIn: 'models',
    kind: 'flag',
    help: 'give a domU no memory map: its kernel makes its own',
  },
  {
    name: 'v-end',
    explainedIn: 'models',
    kind: 'address',
    argument: 'OFFSET',
    help: "initial mapping's end, a multiple of 4 MiB",
  },
  {
    name: 'kernel-size',
    explainedIn: 'models',
    kind: 'size',
    argument: 'SIZE',
    help: 'v_end follows from this, in bytes or 26M',
  },
  { name: 'initrd-size', explainedIn: 'models', kind: 'size', argument: 'SIZE', help: 'and from this' },
  { name: 'append', kind: 'string', argument: 'STRING', help: "the kernel's command line" },
  {
    name: 'mfn',
    explainedIn: 'models',
    kind: 'list',
    argument: 'PFN=MFN',
    help: 'swap two frames of the p2m, in hex; repeatable',
  },
]

/** What a real kernel takes. */
export const KERNEL: readonly OptionSpec[] = [
  { name: 'kernel', kind: 'file', argument: 'FILE', help: 'a bzImage or an ELF file', files: true },
  { name: 'ramdisk', kind: 'file', argument: 'FILE', help: 'its initrd', files: true },
  { name: 'name', kind: 'string', argument: 'NAME', help: "the guest's name", default: 'guest' },
  {
    name: 'seed',
    kind: 'string',
    argument: 'NUMBER',
    help: 'when its clock begins, which is all that is random to it',
    default: '0',
  },
  {
    name: 'dom0-mem',
    kind: 'size',
    argument: 'SIZE',
    help: "the memory of a dom0, as Xen's dom0_mem; most of the map's RAM if not said",
  },
  {
    name: 'no-acpi',
    kind: 'flag',
    help: "give dom0's machine no ACPI tables",
  },
  {
    name: 'batch',
    kind: 'flag',
    help: "no terminal: print the console, in the guest's own time, until it ends",
  },
  {
    name: 'raw',
    kind: 'flag',
    help: "a batch's console as it comes: colours and codes for a terminal stay in it",
  },
  {
    name: 'input',
    kind: 'file',
    argument: 'FILE',
    help: 'type these lines in a batch; - is standard input',
    files: true,
  },
  {
    name: 'timeout',
    kind: 'string',
    argument: 'SECONDS',
    help: "the most of the guest's time that it takes",
  },
  {
    name: 'console-limit',
    kind: 'string',
    argument: 'SIZE',
    help: 'end a guest that writes more to its console; 16M in a batch',
  },
  {
    name: 'until',
    kind: 'string',
    argument: 'TEXT',
    help: 'end when its console has this, within a line',
  },
  TIER_OPTION,
  { name: 'junit', kind: 'file', argument: 'FILE', help: 'write a report for CI there', files: true },
  { name: 'explain', kind: 'flag', help: 'say who holds a refused frame, and where the kernel was' },
  {
    name: 'system-map',
    kind: 'file',
    argument: 'FILE',
    help: 'symbols, where the kernel has none of its own',
    files: true,
  },
  {
    name: 'snapshot',
    kind: 'file',
    argument: 'FILE',
    help: 'write the machine there when it ends, or at ^]',
    files: true,
  },
  { name: 'restore', kind: 'file', argument: 'FILE', help: 'go on from there', files: true },
].map((option): OptionSpec => ({ ...(option as OptionSpec), explainedIn: 'kernels' }))

/** What makes a real kernel's run what it is. */
const OF_A_RUN = [
  'kernel',
  'ramdisk',
  'restore',
  'name',
  'seed',
  'dom0-mem',
  'no-acpi',
  'input',
  'timeout',
  'console-limit',
  'until',
  'tier',
]

/** Which run a question is about: a boot's, or the one whose trace is given. */
export const RUN: readonly OptionSpec[] = [
  { name: 'at', kind: 'string', argument: 'EVENT', help: 'after this event, not at the end' },
  { name: 'trace', kind: 'file', argument: 'FILE', help: 'the run that this trace is of', files: true },
  {
    name: 'script',
    kind: 'file',
    argument: 'FILE',
    help: 'a run of this script',
    files: true,
  },
  { name: 'frames', kind: 'file', argument: 'RECORDING', help: 'the frames of a script', files: true },
  { name: 'json', kind: 'flag', help: 'print one JSON document' },
  ...MACHINE.map((option) => ({ ...option, explainedIn: 'boot' })),
  ...KERNEL.filter((option) => OF_A_RUN.includes(option.name)),
]
