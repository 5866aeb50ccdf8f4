import { KERNEL, MACHINE } from './machine-options.ts'
import type { OptionSpec } from './verb.ts'

/** A part of a verb's options that has a help of its own. */
export type Topic = {
  readonly name: string
  readonly summary: string
  readonly options: readonly OptionSpec[]
  readonly lines: readonly string[]
}

export const TOPICS: readonly Topic[] = [
  {
    name: 'kernels',
    summary: 'Boot a real kernel: xenolith boot --kernel FILE, or xenolith boot GUEST.cfg',
    options: KERNEL,
    lines: [
      'With these go --memory (default 512M), --maxmem, --no-e820, --append, --json,',
      '--xen (default 4.17) and --config GUEST.cfg.',
      'xenolith sweep takes --kernel more than once, and ranges of --memory and --dom0-mem;',
      'its --timeout is 60 if not said.',
      'On a terminal, ^] leaves. Else, and with --batch, the console is printed.',
      'The exit status is 0 when the guest powered off or came to --until, 1 when it',
      'rebooted, 3 when it crashed, 4 for its watchdog, 5 for a soft reset, 6 when it was',
      'suspended, 7 when it waited for input that did not come or --timeout or --wall was',
      'over, 8 when its console came to --console-limit, 9 when it needed more memory than',
      'this host has, 130 after ^]. A signal ends it with its report, too; a second one at',
      'once.',
      'docs/kernels.md has more.',
    ],
  },
  {
    name: 'models',
    summary: "Change what a model's kernel and machine are made of",
    options: MACHINE.filter((option) => option.explainedIn === 'models'),
    lines: ['All of them go with xenolith boot, who and why.'],
  },
]
