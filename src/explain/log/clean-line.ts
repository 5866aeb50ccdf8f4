/**
 * A line as people paste it, made plain again: what a terminal, a mail client, a web page or a journal put around the
 * words goes; the words stay. Each step undoes one carrier, in the order in which the carriers were put on.
 */

/** CSI and OSC sequences, two-character escapes, and control characters, C1's too. */
const ESCAPES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what it takes off
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[@-Z\\^_]|[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g
/** What less and vis print for an escape: `^[[31m`, `ESC[0m`. */
const SHOWN_ESCAPES = /(?:\^\[|ESC)\[[0-9;]*[mK]/g
const TAGS =
  /<\/?(?:br|BR|p|pre|PRE|div|DIV|span|code|tt|b|i|u|em|strong|font|td|tr|a|li|blockquote)(?:\s[^<>]*|\/)?>/g
const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  ndash: '-',
  mdash: '-',
  minus: '-',
  lbrack: '[',
  rbrack: ']',
  lpar: '(',
  rpar: ')',
}
const ENTITY = /&(?:#(\d{1,6})|#x([0-9a-f]{1,5})|([a-z]{2,6}));/gi
/** `> `, `| `, `>> `, `: `, also with the initials of whoever is quoted: `JB> `. */
const QUOTES = /^(?:\s*(?:[A-Z]{2,3})?[>|]\s?)+/

/** Carriers of time and place that stand before a line; tried again until none fits. */
const PREFIXES: readonly RegExp[] = [
  /^\s+/,
  // A list, a patch, a comment in code.
  /^[-+*#/\s]+(?=\(XEN\)|\[\s*\d+\.\d+\])/,
  // grep -n, a pager's or a review's line numbers; not the `2466:` of mm.c, which follows a name.
  /^\d{1,7}[:|\t-]\s?(?=\D)/,
  // grep's file names, with and without numbers.
  /^[\w./-]*\.(?:log|txt|out|gz|\d)[:-](?:\d+[:-])?/,
  // ISO times of CI runners and journals: 2024-06-01T10:11:12.1234567Z, 2021-09-06 18:15:04.089 +0200.
  /^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|\s?[+-]\d\d:?\d\d)?\]?[:|]?\s?/,
  // syslog's, with host and tag: `Nov 22 10:11:12 host kernel: `; osstest has no host.
  /^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\s+)?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+\d{1,2}\s+\d\d:\d\d:\d\d(?:\.\d+)?(?:\s\d{4})?\s(?:[\w.-]+\s(?:kernel|xen\w*|systemd|libvirtd|hypervisor|guest-[\w.-]+|[\w.-]+)(?:\[\d+\])?:\s)?/,
  /^\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?[ :|]\s?/,
  // dmesg -T: [Mon Sep  6 18:15:04 2021]
  /^\[(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3}\s+\d{1,2} \d\d:\d\d:\d\d \d{4}\]\s?/,
  // printk's time; seconds, a thread, or what is left of it when the head is cut off.
  /^\[\s*T?(?=\d)[.\d]*\d\.\d{3,}\]\s?(?:\[\s*[TC]\d+\]\s?)?/,
  // Console logs of a guest: `(d12) `, Xen's `(XEN) [time] ` is kept below.
  /^\(d\d{1,5}\)\s?/,
  // printk's level: <4>, <0>[ 1.0]
  /^<[0-7]>/,
  // Docker compose, kubectl, libvirt and other names before a bar.
  /^[\w./-]{1,40}\s+\|\s/,
  /^(?:kernel|hypervisor|console|serial|guest|dom0|domU):\s(?=\S)/i,
]

/** `(XEN) `, also as a camera and a tired reader give it: `(XEM)`, `{XEN)`, `(XEN]`, `( XEN )`. */
const XEN_MARK = /^[({[|]?\s?(?:XEN|XEM|XFN|KEN|XE\|\\\||Xen|xen)\s?[)}\]]\s?(?:\[[^\]]{3,40}\]\s?)?/

export type CleanLine = {
  /** The words, without carriers and without Xen's mark. */
  readonly text: string
  /** Whether Xen's mark stood before them. */
  readonly xen: boolean
}

/** Undoes the encoding of a line: escape codes, tags and entities of a web page, quoted-printable when the log is in it. */
export function decodeLine(raw: string, quotedPrintable: boolean): string {
  let text = raw
  if (quotedPrintable) text = decodeQuotedPrintable(text)
  text = text.replace(ESCAPES, '')
  if (text.includes('[')) text = text.replace(SHOWN_ESCAPES, '')
  if (text.includes('<')) text = text.replace(TAGS, ' ')
  // What entities stand for may be an escape again.
  if (text.includes('&')) text = text.replace(ENTITY, entity).replace(ESCAPES, '')
  // Typographic look-alikes of a word processor or a web page.
  if (/[\u0080-\uffff]/.test(text)) {
    text = text
      .replace(/[\u00a0\u2000-\u200b\u202f\ufeff]/g, ' ')
      .replace(/[\u2010-\u2015\u2212]/g, '-')
      .replace(/[\u2018\u2019]/g, "'")
      .replace(/[\u201c\u201d]/g, '"')
      .replace(/\u2260/g, '!=')
      .replace(/\u2192/g, '->')
  }
  return text.trimEnd()
}

/** Strips quote marks, times, hosts and levels, in whatever order they were put on, and Xen's mark. */
export function cleanLine(decoded: string): CleanLine {
  let text = decoded.replace(QUOTES, '')
  let xen = false
  for (let again = true; again && text !== ''; ) {
    again = false
    const mark = XEN_MARK.exec(text)
    if (mark !== null) {
      text = text.slice(mark[0].length)
      xen = true
      again = true
      // What stands after the mark is Xen's own: its indentation means something.
      break
    }
    for (const prefix of PREFIXES) {
      const stripped = text.replace(prefix, '')
      if (stripped.length < text.length) {
        text = stripped
        again = true
      }
    }
    const unquoted = text.replace(QUOTES, '')
    if (unquoted.length < text.length) {
      text = unquoted
      again = true
    }
  }
  return { text, xen }
}

function decodeQuotedPrintable(text: string): string {
  return text.replace(/(?:=[0-9A-F]{2})+/g, (run) => {
    const bytes = run
      .slice(1)
      .split('=')
      .map((pair) => Number.parseInt(pair, 16))
    return new TextDecoder().decode(Uint8Array.from(bytes))
  })
}

function entity(whole: string, decimal?: string, hexadecimal?: string, name?: string): string {
  const code = decimal !== undefined ? Number(decimal) : Number.parseInt(hexadecimal ?? '', 16)
  if (Number.isInteger(code)) return code === 0xa0 ? ' ' : String.fromCodePoint(Math.min(code, 0x10ffff))
  return ENTITIES[(name ?? '').toLowerCase()] ?? whole
}

/**
 * Whether a log is in quoted-printable. `=3D` is the sign: Xen and Linux print hex in lower case, so nothing else makes
 * it. A long line that ends with the sign of a soft break, and a mail's own header, say so too.
 */
export function isQuotedPrintable(text: string): boolean {
  return /=3D|^content-transfer-encoding:\s*quoted-printable|^.{60,80}[^\s!=<>]=\r?$/im.test(text)
}
