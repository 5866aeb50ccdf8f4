import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RealLog, XenMessageEntry } from './mutate-log.ts'
import { sharedData } from './shared-data.ts'

/** An entry of the index of real logs, with its text. */
export type IndexedLog = RealLog & {
  readonly decoded_type_words?: readonly {
    readonly saw: string
    readonly saw_decoded: Readonly<Record<string, string | number | boolean>>
    readonly exp: string
    readonly exp_decoded: string
  }[]
  readonly xen_fingerprint: string | null
}

/** The real logs, or null where they are not. */
export function realLogs(): IndexedLog[] | null {
  const folder = sharedData('logs')
  if (folder === null) return null
  const index: { logs: IndexedLog[] } = JSON.parse(readFileSync(join(folder, 'INDEX.json'), 'utf8'))
  return index.logs.map((log) => ({ ...log, text: readFileSync(join(folder, log.file), 'utf8') }))
}

/** Xen's messages with their wording and their lines in the source of each version. */
export function xenMessages(): XenMessageEntry[] {
  const path = sharedData('..', 'spec', 'xen-messages.json')
  return path === null ? [] : JSON.parse(readFileSync(path, 'utf8'))
}
