import type { NumberedLine } from '../log/read-log.ts'

/**
 * Takes out of a log what says whose it is: host names, MAC addresses, serial numbers, user names in paths, e-mail
 * addresses. Frames, addresses of memory and versions stay, as they are what the log is about.
 */
const RULES: readonly (readonly [pattern: RegExp, put: string])[] = [
  [/\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b/gi, 'MAC'],
  [/\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/gi, 'UUID'],
  [/((?:serial(?: ?number| ?no\.?|no)?|s\/n|asset ?tag)\s*[:=]\s*)[\w.-]+(?: [\w.-]+)*/gi, '$1SERIAL'],
  [/(\/(?:home|Users)\/)[^/\s:]+/g, '$1USER'],
  [/([A-Z]:\\(?:Users|Documents and Settings)\\)[^\\\s:]+/gi, '$1USER'],
  [/\b(?:\d{1,3}\.){3}\d{1,3}\b(?!-)/g, 'IP'],
]

/** Letters of the longest name of a host. */
const LONGEST_NAME = 64

/** Where logs name their host; the name is then taken out everywhere. */
const HOSTS: readonly RegExp[] = [
  /^[>\s|]*(?:[A-Z][a-z]{2}\s+\d{1,2} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.+Z-]+)\s+([\w.-]{2,64})\s+\S+?(?:\[\d+\])?:\s/,
  /\bLinux version \S+ \((?:[\w.-]+@)?([\w.-]{2,64})\)/,
  /\bHostname\s*[:=]\s*([\w.-]{2,64})/i,
  /^host\s+:\s+([\w.-]{2,64})/,
  /\bset hostname to <?([\w.-]{2,64})>?/i,
]

/** The same lines without what says whose they are. */
export function redacted(lines: readonly NumberedLine[]): NumberedLine[] {
  const hosts = new Set<string>()
  for (const { text } of lines) {
    for (const pattern of HOSTS) {
      const host = pattern.exec(text)?.[1]
      if (host !== undefined && !COMMON.has(host.toLowerCase())) hosts.add(host)
    }
  }
  return lines.map(({ number, text }) => ({ number, text: redactedText(text, hosts) }))
}

/** A word or a path without what says whose it is. */
export function redactedText(text: string, hosts: ReadonlySet<string> = new Set()): string {
  let result = text
  for (const [pattern, put] of RULES) result = result.replace(pattern, put)
  if (result.includes('@')) result = result.replace(/[\w.+@-]+/g, withoutAddresses)
  return hosts.size === 0 ? result : result.replace(/[\w.-]+/g, (word) => withoutHost(word, hosts))
}

const MAIL_HOST = /^[\w-]+(?:\.[\w-]+)+\b/

/** A word without the e-mail addresses in it; what stands between two signs is the host of the first, then a user. */
function withoutAddresses(word: string): string {
  const [first, ...others] = word.split('@')
  let put = ''
  let user = first
  for (const next of others) {
    const host = MAIL_HOST.exec(next)?.[0]
    const start = user.search(/\w/)
    if (host === undefined || start < 0) {
      put += `${user}@`
      user = next
    } else {
      put += `${user.slice(0, start)}USER@HOST`
      user = next.slice(host.length)
    }
  }
  return put + user
}

/** A word that is a host's name, alone or with its domain behind it (`host.example.org`): the longest name goes. */
function withoutHost(word: string, hosts: ReadonlySet<string>): string {
  for (let end = Math.min(word.length, LONGEST_NAME); end > 0; end--) {
    const endsThere = end === word.length || word[end] === '.'
    if (endsThere && hosts.has(word.slice(0, end))) return `HOST${word.slice(end)}`
  }
  return word
}

/** Words that stand where a host's name stands and are none. */
const COMMON = new Set(['kernel', 'xen', 'localhost', 'builder', 'gcc', 'root', 'dom0', 'domu'])
