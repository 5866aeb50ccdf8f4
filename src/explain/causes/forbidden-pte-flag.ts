import { readFoldedFlags } from '../decode/values.ts'
import { messagesOf } from '../evidence.ts'
import type { Cause } from './cause.ts'
import { linesOf } from './shared.ts'

export const forbiddenPteFlag: Cause = {
  class: 'forbidden-pte-flag',
  name: 'An entry has a flag that Xen forbids',
  match: (evidence) => {
    const bad = messagesOf(evidence, 'bad-flags')
    if (bad.length === 0) return undefined
    const [first] = bad
    const level = /Bad (L[1-4]) flags/i.exec(first.text)?.[1] ?? 'L1'
    const flags = readFoldedFlags(first.fields.flags ?? '0')
    const named = flags.map(({ name, bit }) => `${name} (bit ${bit})`).join(', ')
    return {
      score: 92,
      title: `Xen refused an ${level} entry for flags that a guest may not set: ${first.fields.flags} is ${named || 'no flag that is known'}.`,
      lines: linesOf(bad),
      details: flags.map(({ name, bit, meaning }) => `${name}, bit ${bit} of the entry: ${meaning}.`),
    }
  },
  signature: [
    "`Bad L1 flags X`, or the same about L2, L3 or L4. X holds just the forbidden bits, in Xen's packed form of 24 bits: the low 12 are bits 0 to 11 of the entry, the high 12 are its bits 52 to 63.",
    '`800000` is NX (bit 63); `400000` is bit 62, which debug builds of Xen use for grant mappings; `8` is PWT, `10` is PCD, `80` is PAT in an L1 and PSE above, `100` is the global bit.',
    'The hypercall returns -22 (EINVAL). In early boot `Unhandled invalid opcode` follows, or the guest just ends (`Hardware Dom0 halted`).',
  ],
  explanation: [
    'Xen allows a fixed set of flags in the entries of a guest at each level. An entry with another bit is refused as a whole, with EINVAL, before its frame is looked at. The line names the offending bits and no frame.',
    'NX is forbidden where the CPU does not have it or the firmware turned it off. A guest that sets NX before it has found out trips over this. The cache bits PWT, PCD and PAT are forbidden in L1 entries of domains without access to devices. Above L1 these bits, PSE and the global bit are forbidden to every domain; Xen 4.1 still took PSE in an L2 when large pages were allowed.',
    'Bit 62 has no meaning to the hardware and is allowed in release builds. A debug build keeps it for itself. An entry with this bit is therefore often no deliberate entry at all: uninitialised memory or data was written as an entry.',
  ],
  check: [
    "Decode X. With `800000` compare the CPU flags in Xen's boot log and the firmware's setting for NX (execute disable) with what the guest believes.",
    'With `400000` or several odd bits at once ask for the value of the whole entry and where it came from; suspect uninitialised state in early boot code, and bisect.',
    'With `8`, `10`, `80` at L1 ask whether the domain has a device assigned, and who asked for uncached or write-combined memory.',
    "Find the entry's address: `earlyprintk=xen` in the guest, or the guest's RIP in the dump and System.map.",
    'Note the number of the level; a `Failure in ... slot` line behind it gives the slot in the table.',
  ],
  fixes: [
    {
      project: 'Linux',
      what: 'Finds out about NX on the boot CPU before it sets up the GDT, whose page changes its permissions.',
    },
    {
      project: 'Linux',
      what: 'Repairs the start code of PV guests after the objtool changes of June 2022, with which a garbage entry was written.',
    },
  ],
  avoid: ['Turn NX (execute disable) on in the firmware, when the CPU has it.'],
}
