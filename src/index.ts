/**
 * Everything that the package offers, in the order of docs/api.md. Options go in and results come out as plain objects;
 * frames are numbers where a program works with them, and `0x` strings in what is meant for JSON.
 *
 * @module
 */

// ---- Boot the model kernel: options in, what happened out ----

export {
  type BootOptions,
  type BootResult,
  type BufferText,
  boot,
  type HolderText,
  type MarkCallText,
  releaseMemory,
} from './run/boot/boot.ts'
export { bootOptions, type RawBootOptions } from './run/boot/boot-options.ts'

// ---- The kernels and the versions of Xen that there are ----

export type { Generation, MemoryModel } from './linux/generation.ts'
export { generations } from './linux/generations.ts'
export { xenVersionNames } from './xen/versions/index.ts'

// ---- Memory maps: the shipped ones, and your own ----

export { mapLines, ramBytes } from './run/maps/map-text.ts'
export { findMap, type MemoryMap, parseMap, shippedMaps } from './run/maps/maps.ts'
export { E820, type E820Entry, type E820Type } from './xen/abi.ts'

// ---- A machine for a guest of your own ----

export type { FrameType } from './bits/type-word.ts'
export { DomainCrash, GuestTrap, type Vcpu } from './machine/vcpu/vcpu.ts'
export {
  createMachine,
  type FrameInfo,
  type HolderInfo,
  type Machine,
  type MachineOptions,
} from './run/boot/machine.ts'
export type { DomainLayout } from './toolstack/layouts/model.ts'

// ---- What such a guest needs of the ABI: registers, numbers of hypercalls, addresses and entries ----

export { PAGE, REGION, slotAt } from './bits/address.ts'
export { DOMID } from './bits/domid.ts'
export { entryFrame, entryHi, entryLo, flagNames } from './bits/pte.ts'
export { ARGUMENTS, R8, R10, RAX, RDI, RDX, RSI, RSP } from './machine/vcpu/vcpu.ts'
export { HYPERCALL, MEMORY_OP, MMU, MMUEXT, SIF, START_INFO, VM_ASSIST } from './xen/abi.ts'

// ---- Scripts of hypercalls ----

export {
  type CallResult,
  type FrameRun,
  parseRecording,
  type RecordedSyms,
  type Recording,
  runScript,
  type ScriptOptions,
  type ScriptResult,
  type TranscriptLine,
} from './run/script/script.ts'

export {
  RANDOM_PROFILES,
  type RandomProfile,
  type RandomScriptOptions,
  randomScript,
} from './script/random-script.ts'

// ---- Questions about a run: who holds a frame, since when, and why something was refused ----

export type { Moment } from './run/ask/moment.ts'
export type { RunSpec, ScriptRun } from './run/ask/rerun.ts'
export { type HolderResult, type WhoResult, who } from './run/ask/who.ts'
export { type WhyResult, why } from './run/ask/why.ts'

// ---- Searches for sequences of operations that break Xen's safety ----

export {
  type Explored,
  type ExplorePlan,
  type ExploreRun,
  explore,
  type Finding,
  resume,
  type SearchSpec,
  type Space,
  scriptOf,
} from './explore/exports.ts'
export type { Job, Shard } from './explore/jobs/job.ts'
export type { Done } from './explore/jobs/progress.ts'

// ---- Explain a pasted log: from its lines to the cause ----

export type { Cause, Confidence, Fix } from './explain/causes/cause.ts'
export { CAUSES } from './explain/causes/index.ts'
export type { Confirmation, ConfirmedBoot, Repair } from './explain/confirm/confirm.ts'
export type { Decoded, DecodedTypeWord, DecodedWalk } from './explain/decode/decoded.ts'
export type { LoggedXen } from './explain/evidence.ts'
export { type ExplainOptions, explainLines, explainText } from './explain/explain.ts'
export { type Digest, type LogDigest, logDigest } from './explain/log/digest.ts'
export type { Damage, NumberedLine } from './explain/log/read-log.ts'
export { redacted } from './explain/report/redact.ts'
export type { Report, ReportCause, ShownLine } from './explain/report/report.ts'
export { sarif } from './explain/report/sarif.ts'
export { textReport } from './explain/report/text-report.ts'

// ---- Traces: every event of a run ----

export { type ReplayResult, replay } from './run/ask/replay.ts'

export type { Sink, TraceEvent } from './trace/events.ts'
export { TRACE_SCHEMA } from './trace/events.ts'
export { traceHeader, traceLine } from './trace/export.ts'

// ---- Errors of whoever calls ----

export { BadInput } from './bits/bad-input.ts'
