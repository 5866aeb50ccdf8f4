export { EVENT_KINDS } from '../../trace/event-log.ts'
