/**
 * Which messages about guests are printed (guest_loglvl): those below `always` at once, those below `limited` at most so
 * often, the others not at all. Debug builds print everything; release builds print errors and warnings, limited.
 */
export type GuestLog = { readonly always: number; readonly limited: number }

/** Where a build has the end of create_bounce_frame() is known of some builds only. */
export const UNKNOWN_PLACE = '???????????????? x86_64/entry.S#create_bounce_frame'

/** What a version prints, and in which form. The messages themselves are in data/xen-messages.json. */
export type Messages = {
  /** The release of the table whose wording and source lines these are. */
  readonly release: string
  /** Release builds of 4.6 and later print no diagnostics of the memory code (28fbff96c1): the table says what they print. */
  readonly build: 'debug' | 'release'
  /** Which line of a statement of several stands before a message: compilers of 2011 give the last, those of today the first. */
  readonly line: 'first' | 'last'
  /** How a source file is named: `mm.c`, or from Xen's root on, `arch/x86/mm.c` (4.17, 7a3bcd2bab). */
  readonly files: 'name' | 'path'
  /** Of messages that stand in headers: the header as the file that includes it names it. */
  readonly headers: Readonly<Record<string, string>>
  /** How a line names whose hypercall it is about: `d0`, or `d0v0` (4.5). */
  readonly namesVcpu: boolean
  /** Which messages about guests are printed when nobody has said otherwise on Xen's command line. */
  readonly guestLog: GuestLog
  /**
   * A page fault without a handler has a line of its own, behind which the tables are walked; and the error code of an
   * exception that has none is 0 in the line of the others (until between 4.1 and 4.14).
   */
  readonly ownLineForPageFault: boolean
  /** How exceptions are named: `page fault`, or `#PF` (4.17). */
  readonly trapNames: 'words' | 'mnemonics'
  /** The vCPU's line in a dump has the bases of fs and gs (4.10). */
  readonly dumpsSegmentBases: boolean
  /** A walk's line of an L2 ends in a blank where a large page would say so (until 4.9). */
  readonly blankAfterL2: boolean
  /** The place that `domain_crash called from` names when iret fails. */
  readonly iretFailure: string
  /**
   * What `domain_crash_sync called from entry.S` adds (4.4), by the build's own addresses: where an exception has no handler,
   * the text; and the low half of the address of the first label for a frame that could not be pushed, four bytes apart.
   */
  readonly entryFault: { readonly noHandler: string; readonly labels: number | null } | null
  /** The last line of dom0's crash. */
  readonly dom0Crashed: string
}
