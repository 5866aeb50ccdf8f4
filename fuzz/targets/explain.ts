import { readFileSync } from 'node:fs'
import type { Random } from '../../test/tools/random.ts'
import { command, outcomeOf, ownFile } from '../cli.ts'
import { mutateBytes, mutateText } from '../mutate.ts'
import { type Target, textInput } from '../target.ts'

/** Logs: whatever somebody pastes. */

/** A refusal with what surrounds one, of no real machine. */
const REFUSED = `(XEN) Xen version 4.1.2 (builder@example.org) (gcc version 4.6.1) Mon Oct 24 10:00:00 UTC 2011
(XEN)  Xen-e820 RAM map:
(XEN)  0000000000000000 - 000000000009f000 (usable)
(XEN)  0000000000100000 - 00000000bfff0000 (usable)
[    0.000000] Linux version 2.6.39-rc2 (builder@example.org) (gcc version 4.6.1)
mapping kernel into physical memory
about to get started...
(XEN) mm.c:2424:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn 12d431 (pfn 9c3a2)
(XEN) mm.c:2985:d0 Error while pinning mfn 12d431
(XEN) traps.c:466:d0 Unhandled invalid opcode fault/trap [#6] on VCPU 0 [ec=0000]
(XEN) Pagetable walk from ffff88009c3a2000:
(XEN)  L4[0x110] = 000000012d003067 0000000000001a03
(XEN)  L3[0x002] = 0000000000000000 ffffffffffffffff
(XEN) domain_crash_sync called from entry.S
(XEN) Domain 0 (vcpu#0) crashed on cpu#0:
(XEN) ----[ Xen-4.1.2  x86_64  debug=y  Not tainted ]----
(XEN) CPU:    0
(XEN) RIP:    e033:[<ffffffff810062f3>]
(XEN) RFLAGS: 0000000000000282   EM: 1   CONTEXT: pv guest
(XEN) rax: 00000000ffffffea   rbx: 000000012d431000   rcx: ffffffff81001147
(XEN) Guest stack trace from rsp=ffffffff81601e38:
(XEN)    ffffffff81001147 000000000000000b 0000000000000000
`

const FAULTED = `BUG: unable to handle kernel paging request at ffff8800bad80000
IP: [<ffffffff8100a1b2>] xen_set_pte+0x22/0x40
PGD 1a03067 PUD 1a07067 PMD bfe8d067 PTE 80100000bad80065
Oops: 0003 [#1] SMP
e820: BIOS-provided physical RAM map:
BIOS-e820: [mem 0x0000000000000000-0x000000000009efff] usable
[    0.000000] xen: setting RW the range bad00000 - bad80000
[    0.000000] kernel direct mapping tables up to bfff0000 @ ba7a4000-bad80000
d1v0 Ring access error: -14
arch/x86/mm.c:2940:d1v0 Bad type (saw 2000000000000001 != exp e000000000000000) for mfn 123 (pfn 23)
`

/** Xen's messages, as the project knows them: their templates. */
const { messages } = JSON.parse(
  readFileSync(new URL('../../data/xen-messages.json', import.meta.url), 'utf8'),
) as { readonly messages: readonly { readonly template: string }[] }

const PREFIXES = [
  '(XEN) ',
  '(XEN) [2011-10-24 10:00:00] ',
  '[    1.234567] ',
  '<6>[    1.234567] ',
  'Oct 24 10:00:00 host kernel: ',
  '> ',
  '> > ',
  'xen-hypervisor: ',
  '',
  '\u001b[0m',
  '&lt;6&gt;',
  '(d1) ',
  '| ',
  '    ',
]

/** What a pattern may stumble over when there is much of it. */
const REPEATED = [
  '[',
  ']',
  '(',
  '[1',
  '[12',
  '[0-',
  '0',
  '1',
  'f',
  'x',
  ' ',
  '\t',
  '\r',
  '> ',
  '| ',
  '&',
  '&#',
  '&#27;',
  '&lt;',
  '<',
  '=',
  '\\',
  '/',
  '.',
  '-',
  '_',
  ':',
  'mfn ',
  'Bad type ',
  '(XEN) ',
  'TAGS',
  'L4[',
  'd0',
  'a.c:',
  'usable ',
  'ffff',
  '\u001b[',
  '\u009b',
  '\u0008',
  '\u202e',
  'e',
  'é',
  '0x',
  'mm.c:',
  '@',
  '<6>',
  '%',
  ' - ',
  '0000000000000000 ',
  '"',
  "'",
  ';',
  ',',
  '{',
  '}',
]

function number(random: Random): string {
  return random.pick([
    String(random.between(0, 4096)),
    random.bits().toString(16),
    `${random.bits().toString(16).padStart(8, '0')}${random.bits().toString(16).padStart(8, '0')}`,
    'ffffffffffffffff',
    '0',
    '-22',
  ])
}

/** A line of one of Xen's messages, its places filled. */
function messageLine(random: Random): string {
  const text = random
    .pick(messages)
    .template.replace(/%[-#0-9.]*(?:l|ll|z|h)*[a-zA-Z]|\{[^}]*\}/g, () => number(random))
  const place = random.once(2)
    ? `${random.pick(['mm.c', 'traps.c', 'arch/x86/mm.c'])}:${random.between(0, 6000)}:d${random.between(0, 3)} `
    : ''
  return random.pick(PREFIXES) + place + text
}

/** Much of little. */
function repeatedLine(random: Random): string {
  const [a, b] = [random.pick(REPEATED), random.pick(REPEATED)]
  const times = random.pick([30, 300, 4000, 20_000])
  const middle = random.once(2) ? a.repeat(times) : (a + b).repeat(times)
  return (
    random.pick(PREFIXES) +
    random.pick(['', '[', '(', b]) +
    middle.slice(0, 60_000) +
    random.pick(['', b, ']', '!'])
  )
}

function generated(random: Random): string {
  const lines: string[] = []
  for (let n = random.pick([1, 5, 30]); n > 0; n--) {
    lines.push(random.once(6) ? repeatedLine(random) : messageLine(random))
    if (random.once(20))
      lines.push(
        random
          .pick(REPEATED)
          .repeat(4000)
          .split('')
          .join(random.pick(['', '\n', '\r']))
          .slice(0, 40_000),
      )
  }
  return lines.join(random.pick(['\n', '\n', '\n', '\r\n', '\r']))
}

export const explain: Target = {
  name: 'explain',
  group: 'explain',
  about: 'logs, changed and made up, with much of little in them; every form of the report',
  cut: 'bytes',
  seconds: 3,
  seeds: () => [textInput(REFUSED), textInput(FAULTED)],
  make(random) {
    if (random.once(3)) return textInput(generated(random))
    const text = random.pick([REFUSED, FAULTED])
    if (random.once(4)) return mutateBytes(textInput(text), random)
    const lines = text.split('\n')
    if (random.once(2)) lines.splice(random.between(0, lines.length), 0, generated(random))
    return textInput(mutateText(lines.join('\n'), random))
  },
  async run(input) {
    const file = ownFile('explain.log', input)
    return outcomeOf(await command(['explain', file, ...FORMS[input.length % FORMS.length]]))
  },
}

/** Ways to ask. The machine of a log is booted in one of them only, as that takes longest. */
const FORMS = [
  ['--no-boot'],
  [],
  ['--no-boot', '--json'],
  ['--no-boot', '--sarif'],
  ['--no-boot', '--redact'],
] as const
