/** A room of the house: a folder under `src/`, or the page. */
export type Room = {
  /** Folder, without a slash at the end. */
  folder: string
  /** What lives there, as ARCHITECTURE.md says it. */
  holds: string
  /** What it may import besides itself, below `src/`: whole rooms (`machine`), or single files (`xen/abi.ts`). */
  imports: string[]
  /** Where a room has an order of its own: from the bottom up, each knows itself and those before it only. */
  layers?: Layer[]
}

/** Folders and files of a room, by their names in it. */
export type Layer = { of: string[]; holds: string }

/**
 * The walls between rooms, stated once, in reading order: `npm run rooms` writes them into the linter's configuration
 * and into the table of ARCHITECTURE.md.
 */
export const ROOMS: Room[] = [
  {
    folder: 'src/bits',
    holds:
      'bit layouts as tables: entries, type words, error numbers, domain ids, addresses; what bad input is',
    imports: [],
  },
  {
    folder: 'src/files',
    holds: 'what is read from and written to files: sizes, whole files, schemas at the border',
    imports: ['bits'],
  },
  {
    folder: 'src/wasm',
    holds: 'an encoder of WebAssembly: expressions as typed values, functions, modules',
    imports: [],
  },
  {
    folder: 'src/machine',
    holds:
      'memory and frame records, the clock; `board/` is what the machine of a dom0 has besides; `vcpu/` is the port that drivers hold, the one page walk, the TLB, what a decoded instruction is',
    imports: ['bits', 'wasm'],
  },
  {
    folder: 'src/trace',
    holds: '`events.ts`: what can happen; trace files',
    imports: ['bits', 'files'],
  },
  {
    folder: 'src/xen',
    holds:
      'the hypervisor: `versions/` (profiles and holes), `console/` (messages), `frames/` (records, heap, M2P), `mm/` (references, types, entries, tables), `sched/` (timers, event channels), `pv/` (exceptions, emulated instructions), `hypercalls/` (a file each); its layers are below',
    imports: ['bits', 'machine', 'trace/events.ts', 'wasm'],
    layers: [
      {
        of: ['abi.ts', 'words.ts', 'versions'],
        holds: 'numbers and words of the interface; versions as data',
      },
      { of: ['domain.ts', 'pv-vcpu.ts', 'console'], holds: 'domains and vCPUs as data; what Xen prints' },
      {
        of: ['hypervisor.ts', 'call.ts', 'refusal.ts', 'work.ts', 'frames'],
        holds:
          'what all rules share: the state of one Xen, who asks it, what it refuses, what it knows of frames',
      },
      { of: ['mm'], holds: 'the rules of memory' },
      { of: ['sched'], holds: 'time and events' },
      {
        of: ['pv'],
        holds: 'what a PV guest meets between its instructions: exceptions, emulation, segments',
      },
      {
        of: ['hypercalls'],
        holds: 'what a guest asks for; `iret` leaves by `pv/`, so that they are above it',
      },
      { of: ['xen.ts'], holds: 'a hypervisor made of the rules' },
    ],
  },
  {
    folder: 'src/audit',
    holds: 'counts and types recomputed from the raw tables; safety properties read off them',
    imports: ['bits', 'machine'],
  },
  {
    folder: 'src/linux',
    holds:
      'the model kernel: `memory/` (e820, memblock, p2m), `tables/` (early tables, Xen hooks), `forecast/`',
    imports: ['bits', 'machine/vcpu/vcpu.ts', 'xen/abi.ts', 'trace/events.ts'],
  },
  {
    folder: 'src/script',
    holds: 'the script language of hypercalls',
    imports: ['bits', 'machine/vcpu/vcpu.ts', 'xen/abi.ts', 'trace/events.ts'],
  },
  {
    folder: 'src/cpu',
    holds:
      'an x86-64 core: `decode/`, `semantics/` written once, the `interpreter/` generated from them, `float/`, `memory/`, `assist/`, `region/` (hot code compiled); [`docs/cpu.md`](docs/cpu.md)',
    imports: ['bits', 'machine', 'wasm'],
  },
  {
    folder: 'src/toolstack',
    holds:
      "what dom0 and Xen's builders do: one builder of domains, their `layouts/` as data, `image/` (kernels and their packings), xl files, console, xenstore (`store/`)",
    imports: ['bits', 'machine', 'wasm', 'xen'],
  },
  {
    folder: 'src/guest',
    holds: 'code under Xen: the loop between core and hypervisor, several guests in turn; `symbols/`',
    imports: ['bits', 'machine', 'cpu', 'xen', 'toolstack'],
  },
  {
    folder: 'src/run',
    holds:
      'plain options in, plain result out: `boot/`, `kernel/`, `script/`, `ask/` (who, why, replay), `film/`, `maps/`, `versions/`, `check/`, `search/`; what the CLI, the page and the package call',
    imports: [
      'bits',
      'files',
      'machine',
      'trace',
      'xen',
      'audit',
      'linux',
      'script',
      'cpu',
      'toolstack',
      'guest',
    ],
  },
  {
    folder: 'src/explain',
    holds:
      'from a log, or a result, to its cause in words: `log/` reads lines into records, `decode/` says what words mean, `causes/` has a file for each cause, `confirm/` boots the log’s machine, `report/`',
    imports: ['bits', 'trace', 'run'],
  },
  {
    folder: 'src/explore',
    holds:
      'many runs: `jobs/` cuts them into pieces for threads, with checkpoints; `search/` looks for sequences; `sweep/` is sets of machines, their groups and borders; `queue/` hands pieces to other machines; `report/` has a file for each format',
    imports: ['bits', 'files', 'trace', 'audit', 'run'],
  },
  {
    folder: 'src/cli',
    holds:
      'options and help; `verbs/` has a folder each; `thread/` is where long runs are watched; they choose and print, they compute nothing',
    imports: ['bits', 'files', 'toolstack/xl-config.ts', 'run', 'explain', 'explore'],
  },
  {
    folder: 'web/src',
    holds:
      'the page: `views/` and their `parts/`, `map/` draws frames, `worker.ts` is where machines run; it chooses and shows, it computes nothing',
    imports: ['bits', 'run', 'explain', 'explore'],
  },
]
