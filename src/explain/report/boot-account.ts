import { type BootOptions, type BootResult, type BufferText, boot } from '../../run/boot/boot.ts'
import { wrapped } from './wrap.ts'

/** The partner of the seed's commit, the seed's commit itself, and what replaced it. */
const RO_UP_TO_TOP = 'b9269dc7bfdf'
const SEED = 'a38647837a41'
const RESERVE_HOOK = '279b706bf800'

/**
 * What happened in a boot and why, in plain lines: for a refused page the entry that holds it, when that was written,
 * why the kernel's own guard did not catch it, and the same machine booted with the repair.
 *
 * @param options what the boot was made of, to boot it again repaired
 */
export function accountOf(result: BootResult, options: BootOptions = {}): string[] {
  const lines = ['']
  if (result.machine.scenario === 'seed') lines.push(...scenarioNote(result), '')
  if (result.outcome === 'booted') return [...lines, ...bootedAccount(result)]
  if (result.outcome === 'fault') lines.push(...faultAccount(result))
  else if (result.via === 'pin') lines.push(...pinAccount(result))
  else lines.push(...otherRefusal(result))
  return [...lines, '', ...repairs(result, options)]
}

function scenarioNote(result: BootResult): string[] {
  return wrapped(
    `The machine: map ${result.machine.map}, a dom0 of ${result.machine.nrPages} pages, v_end ${result.machine.vEnd}. The log of 2011 does not say which machine it came from. This is the map of a real one, with the one free input, v_end, chosen so that the refused frame is the log's, and with two frames of the p2m exchanged so that the machine frame is too.`,
  )
}

function pinAccount(result: BootResult): string[] {
  const pfn = bare(result.pfn)
  const buffer = result.buffers.at(-1) as BufferText
  const lines = [
    'WHY XEN REFUSED',
    ...wrapped(
      `The kernel asked Xen to take pfn ${pfn} (mfn ${bare(result.mfn)}) as an L1 page table. A page table must not be writable by the guest, and this page still is: Xen's word for it says "writable" with a count of ${countOf(result.saw)} (saw ${result.saw}), where a page without a type, or an L1, was wanted (exp ${result.exp}).`,
    ),
  ]
  const { holder } = result
  if (holder === null) return lines
  lines.push(
    '',
    'WHO HOLDS IT',
    ...field(
      'entry',
      `slot ${holder.slot} of the L1 at pfn ${bare(holder.tablePfn)} (mfn ${bare(holder.table)})`,
    ),
    ...field('maps', `${bare(holder.address)}, the page's own place in the direct map`),
    ...field('says', `${bare(holder.entry)} = mfn ${bare(result.mfn)} ${holder.flags}`),
  )
  const { written } = holder
  if (written !== null) {
    const end = bare(written.buffer.end)
    lines.push(
      ...field('written', `while the region ${bare(written.region)} (2 MiB) was filled`),
      ...field(
        'at that moment',
        `the buffer for page tables was start ${bare(written.buffer.start)}, end ${end}, top ${bare(written.buffer.top)}`,
      ),
      ...wrapped(
        `pfn ${pfn} lies in [end, top): a page that would be a table later, and was not one yet. This kernel's mask_rw_pte() keeps only [start, end) read-only, so the entry was written RW.`,
      ),
    )
  }
  lines.push(
    '',
    'WHY THE GUARD MISSED IT',
    ...wrapped(
      holder.reachable
        ? `Before the pin the kernel calls make_lowmem_page_readonly(), which should have changed the entry; the tables in use do reach it.`
        : `Before the pin the kernel calls make_lowmem_page_readonly(${bare(holder.address)}), which walks the tables in use. The L1 that has the entry hangs below an L2 that is linked only when its whole GiB is mapped: the walk finds no path and returns without a word. Xen counts the entry all the same, as it validated that L1 when it was pinned.`,
    ),
    '',
    ...wrapped(
      `The pin fails, the kernel's BUG() raises an invalid opcode, and it has no handler for that yet: the domain dies. The buffer then: start ${bare(buffer.start)}, end ${bare(buffer.end)}, top ${bare(buffer.top)}.`,
    ),
  )
  return lines
}

function otherRefusal(result: BootResult): string[] {
  const what =
    result.via === 'ptwr'
      ? `The kernel stored an entry into a page table in use that would map pfn ${bare(result.pfn)}, itself a live page table, writable. Xen carries out such stores only if the entry is allowed; it refused this one, and the kernel got a page fault.`
      : `Xen refused ${result.via} about pfn ${bare(result.pfn)}: saw ${result.saw}, wanted ${result.exp}.`
  const why =
    result.via === 'ptwr'
      ? wrapped(
          'Generation B0 reaches its existing tables through early-ioremap slots, and nothing makes those mappings read-only. Commit d8aa5ec3382e does.',
        )
      : []
  return ['WHY XEN REFUSED', ...wrapped(what), ...why, ...takenTail(result)]
}

/** The workaround's own refusal: a page of the tail that it gives back has become a table meanwhile. */
function takenTail(result: BootResult): string[] {
  const tail = result.buffers[tailOf(result)]
  if (result.via !== 'update_va_mapping' || result.marks.length === 0 || tail === undefined) return []
  return [
    '',
    ...wrapped(
      `pfn ${bare(result.pfn)} lies in [${bare(tail.end)}, ${bare(tail.top)}), what was left of the last buffer for page tables. mark_rw_past_pgt() makes that range writable again when xen_post_allocator_init() calls it, behind sparse_init(). Up to there it was free memory, though read-only: when the tail of the first buffer was used up, the allocator took tables of the vmemmap from this one, and they were pinned. The workaround wants them writable all the same; Xen refuses, and the kernel's BUG() ends the domain.`,
    ),
    ...wrapped(
      'Configured without a vmemmap (`--config flatmem`) the kernel takes no tables there. Where the first tail has room for all of them, which its length decides, v_end / 2 MiB + 6 pages, it boots too.',
    ),
  ]
}

function faultAccount(result: BootResult): string[] {
  const pfn = Number(result.pfn)
  const index = tailOf(result)
  if (index === -1) return ['WHY IT DIED', `The kernel faulted at pfn ${bare(result.pfn)}.`]
  const tail = result.buffers[index]
  const inNode =
    result.nodeData !== null &&
    pfn * 4096 >= Number(result.nodeData.base) &&
    pfn * 4096 < Number(result.nodeData.end)
  return [
    'WHY IT DIED',
    ...wrapped(
      `Xen refused nothing: the CPU did. pfn ${bare(result.pfn)} is mapped read-only, and the kernel stored to it${inNode ? ' when it cleared NODE_DATA, its first allocation from the top of memory' : ''}.`,
    ),
    ...wrapped(
      `The page lies in the tail [${bare(tail.end)}, ${bare(tail.top)}) of the ${index === 0 ? 'first' : 'second'} buffer for page tables. The whole buffer up to its top was mapped read-only, as any of it might have become a table; only the used part was reserved. The rest went back to the allocator, still read-only: nobody gave it its write permission back in time.`,
    ),
    ...lateRelease(result, index),
  ]
}

/** The buffer in whose tail the page of a result lies: its place in `buffers`, or -1. */
function tailOf({ pfn, buffers }: BootResult): number {
  return buffers.findIndex((b) => Number(pfn) >= Number(b.end) && Number(pfn) < Number(b.top))
}

/** When the workaround would have given a tail back. */
function lateRelease({ marks, buffers }: BootResult, index: number): string[] {
  if (marks.length === 0) return []
  const next =
    index === 0 && buffers.length === 1
      ? "in the next call of init_memory_mapping(), but this guest's map leads to one call alone;"
      : 'so came the first tail back, in the second call of init_memory_mapping();'
  return wrapped(
    `mark_rw_past_pgt() gives a tail back at the first entry that is written after its buffer was reserved: ${next} or when a dom0 maps its ACPI tables, but a domU has none. So this tail waits for xen_post_allocator_init(), behind NODE_DATA.`,
  )
}

function bootedAccount(result: BootResult): string[] {
  const lines = ['IT BOOTED']
  result.buffers.forEach((buffer, i) => {
    const used = Number(buffer.end) - Number(buffer.start)
    const spare = Number(buffer.top) - Number(buffer.end)
    lines.push(
      ...field(
        `buffer ${i + 1}`,
        `${range(buffer.start, buffer.top)}: ${used} tables, ${spare} pages of tail`,
      ),
    )
  })
  if (result.nodeData !== null) {
    const { base, end } = result.nodeData
    const last = (Number(end) - 1).toString(16)
    lines.push(...field('NODE_DATA', `${bare(base)}-${last}, cleared without a fault`))
  }
  return [...lines, ...markAccount(result)]
}

/** The calls of mark_rw_past_pgt that changed something: the seed's function at work. */
function markAccount(result: BootResult): string[] {
  if (result.marks.length === 0) return []
  const total = result.marks.reduce((sum, call) => sum + call.times, 0)
  const lines = [
    '',
    `mark_rw_past_pgt() was called ${total.toLocaleString('en')} times. The calls that matter:`,
  ]
  for (const call of result.marks) {
    const { before, after } = call
    if (call.branch === 'first-call') {
      lines.push(
        ...field(
          'first',
          `from ${call.site}: keeps start ${bare(after.s)}, end ${bare(after.e)}, top ${bare(after.t)}`,
        ),
      )
    } else if (call.branch === 'release') {
      lines.push(
        ...field(
          'release',
          `from ${call.site}: start ${bare(before.s)} is reserved by now, so [${bare(before.e)}, ${bare(before.t)}) gets its write permission back; next it keeps the buffer at ${bare(after.s)}`,
        ),
      )
    }
  }
  return lines
}

/** The same machine with the seed's repair, and, where that is not enough, with its successor. */
function repairs(result: BootResult, options: BootOptions): string[] {
  const has = options.with ?? []
  const without = options.without ?? []
  const lines = ['WHAT CURES IT']
  const attempts: { title: string; change: BootOptions }[] =
    result.via === 'ptwr'
      ? [{ title: 'commit d8aa5ec3382e', change: { with: [...has, 'd8aa5ec3382e'] } }]
      : [
          {
            title: `commits ${RO_UP_TO_TOP} and ${SEED}`,
            change: { with: [...has, RO_UP_TO_TOP, SEED], without },
          },
          {
            title: `commits ${RO_UP_TO_TOP} and ${RESERVE_HOOK}`,
            change: {
              with: [...has, RO_UP_TO_TOP, RESERVE_HOOK],
              without: [...without.filter((h) => h !== RO_UP_TO_TOP), SEED],
            },
          },
        ]
  for (const { title, change } of attempts) {
    const repaired = boot({ ...options, ...change })
    if (repaired.linux === result.linux) continue
    lines.push(
      ...wrapped(
        `The same machine booted once more with ${title} (generation ${repaired.linux}): ${outcomeWords(repaired, result)}`,
      ),
    )
    if (repaired.outcome === 'booted')
      return [...lines, ...difference(result, repaired), ...bootedAccount(repaired).slice(1)]
    if (isSameEnd(repaired, result)) lines.push(...lateRelease(repaired, tailOf(repaired)))
    else if (repaired.outcome === 'fault') lines.push(...faultAccount(repaired).slice(1))
    lines.push('')
  }
  return lines
}

function isSameEnd(a: BootResult, b: BootResult): boolean {
  return a.outcome === b.outcome && a.pfn === b.pfn
}

/** @param than the boot that was to be repaired */
function outcomeWords(result: BootResult, than: BootResult): string {
  if (result.outcome === 'booted') return 'it boots.'
  if (isSameEnd(result, than)) return 'it dies of the same page.'
  return result.outcome === 'fault'
    ? `it gets further, and faults at pfn ${bare(result.pfn)}.`
    : `refused, at pfn ${bare(result.pfn)}.`
}

function difference(result: BootResult, repaired: BootResult): string[] {
  const buffer = result.buffers[0]
  if (buffer === undefined || result.outcome !== 'refused' || result.via !== 'pin') return []
  const lines = wrapped(
    `What is different: every page of the buffer up to its top was mapped read-only when its region was filled, pfn ${bare(result.pfn)} among them, so Xen took it. When the tables were done the tail got its write permission back:`,
  )
  for (const line of repaired.console) if (line.startsWith('xen: setting RW')) lines.push(`  ${line}`)
  return lines
}

function field(name: string, text: string): string[] {
  return wrapped(text, `  ${name.padEnd(15)}`, 17)
}

function range(from: string, to: string): string {
  return `${bare(from)}-${bare(to)}`
}

/** Without the 0x, as Xen and Linux print frames. */
function bare(text: string | null): string {
  return text === null ? 'unknown' : text.replace(/^0x/, '')
}

/** The count in a printed type word: both profiles keep it in the low bits. */
function countOf(saw: string | null): number {
  return saw === null ? 0 : Number.parseInt(saw.slice(-8), 16)
}
