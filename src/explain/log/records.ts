/**
 * What the lines of a log say, as plain data: one record a line, or a block of lines. Everything that reads a log
 * further (versions, decoding, causes) reads records and never text, so a cause knows nothing of prefixes, quoting or
 * the wording of one version.
 *
 * Frames and words stay text as printed, in lower case: a transcribed digit is corrected, nothing is rounded.
 */
export type LogRecord =
  | XenMessage
  | XenBanner
  | CrashRecord
  | TrapRecord
  | WalkRecord
  | RegistersRecord
  | MulticallRecord
  | GuestFaultRecord
  | GuestBugRecord
  | CallTraceRecord
  | GuestLineRecord

/** Where a record was read: line of the input, from 1, and the line as shown to people. */
export type At = { readonly line: number; readonly text: string }

/** A message of Xen's table (data/xen-messages.json), with its fields by name. */
export type XenMessage = At & {
  readonly kind: 'xen'
  /** What it is about, whatever its wording in a version: `bad-type`, `pin-error`, `l1-get`. */
  readonly group: string
  /** Index into the table, for the versions that have this wording. */
  readonly message: number
  readonly fields: Readonly<Record<string, string>>
  /** The place in Xen's source, when printed; the number is undefined where somebody masked it. */
  readonly file?: string
  readonly sourceLine?: number
  /** Who ran when it was printed: `d0`, `d0v0`, `d[IDLE]v0`. */
  readonly vcpu?: string
  /** Whether the file is named from Xen's root (4.17 and later) and which prefix stood there. */
  readonly prefix: 'DOM' | 'file-domain' | 'file-vcpu' | 'file' | 'vcpu' | 'none'
}

/** `Xen version 4.17.7 …` at boot, or the banner of a dump; also what a tool says: `xen_version : 4.14`. */
export type XenBanner = At & {
  readonly kind: 'xen-version'
  readonly version: string
  readonly debug?: boolean
  /** The host's first line, a dump's banner, or what another program says. */
  readonly of: 'host' | 'dump' | 'told'
}

/** A domain crashed, was crashed, or asked for it. */
export type CrashRecord = At & {
  readonly kind: 'crash'
  readonly what: 'domain-crashed' | 'crash-sync' | 'domain-crash' | 'dom0-crashed' | 'xen-panic'
  readonly domain?: number
  /** The symbol or place that the line names. */
  readonly place?: string
}

/** A trap that the guest had no handler for. Vector and error code as numbers. */
export type TrapRecord = At & {
  readonly kind: 'trap'
  readonly vector: number
  readonly errorCode?: number
  readonly vcpu?: string
}

export type WalkLevel = {
  readonly level: 1 | 2 | 3 | 4
  readonly slot: number
  /** 16 digits. */
  readonly entry: string
  /** 16 digits, as the M2P has it. */
  readonly pfn: string
  readonly large: boolean
}

/** `Pagetable walk from …` with its levels, top first. */
export type WalkRecord = At & {
  readonly kind: 'walk'
  readonly address: string
  readonly levels: readonly WalkLevel[]
}

/** A register dump, of Xen or of a guest. Values by lower-case name, 16 digits (8 of a 32-bit guest). */
export type RegistersRecord = At & {
  readonly kind: 'registers'
  readonly from: 'xen' | 'guest'
  readonly values: Readonly<Record<string, string>>
  /** The selector that RIP was printed with: e030, e033 under Xen PV; 0010 natively. */
  readonly cs?: string
  /** A symbol beside RIP. */
  readonly symbol?: string
  /** `pv guest`, `hypervisor`, `hvm guest`. */
  readonly context?: string
  /** The words of the stack below the registers, as printed. */
  readonly stack: readonly string[]
}

export type MulticallEntry = At & {
  readonly index: number
  readonly of?: number
  /** Hypercall number, or the poison that a flush leaves. */
  readonly op: string
  readonly result: number
  readonly args: readonly string[]
  readonly caller?: string
}

/** `1 of 2 multicall(s) failed: cpu 0`, with the calls that the kernel lists below it. */
export type MulticallRecord = At & {
  readonly kind: 'multicall'
  readonly failed: number
  readonly of?: number
  readonly calls: readonly MulticallEntry[]
}

/** Linux's page fault report: `BUG: unable to handle …`, with the error code of its `Oops:` line when there is one. */
export type GuestFaultRecord = At & {
  readonly kind: 'guest-fault'
  readonly address?: string
  readonly errorCode?: number
}

/** `kernel BUG at FILE:LINE!`, `WARNING: … at FILE:LINE FUNCTION`, a panic. */
export type GuestBugRecord = At & {
  readonly kind: 'guest-bug'
  readonly what: 'bug' | 'warning' | 'panic'
  readonly place?: string
  readonly symbol?: string
}

/** Functions of a call trace, innermost first, without offsets; `RIP: e030:xen_mc_flush+…` is the first of its own. */
export type CallTraceRecord = At & { readonly kind: 'calls'; readonly symbols: readonly string[] }

/** Another line of the guest or of the boot that says where it was: see `MARKS` of linux-lines.ts. */
export type GuestLineRecord = At & {
  readonly kind: 'mark'
  readonly mark: string
  readonly fields: Readonly<Record<string, string>>
}
