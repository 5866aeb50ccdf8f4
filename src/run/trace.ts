/** Traces, for rooms that choose: apart from the boots, so that who writes one of a real kernel need not load the models. */
export type { Sink, TraceEvent } from '../trace/events.ts'
export { traceHeader, traceLine } from '../trace/export.ts'
