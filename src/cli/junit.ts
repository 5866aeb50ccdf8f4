import type { KernelResult } from '../run/kernel/kernel-boot.ts'

/** A guest's run as a JUnit report with one test case, which passes when the guest powered off. */
export function junitReport(result: KernelResult): string {
  const { name, outcome, nanoseconds } = result
  const time = (nanoseconds / 1e9).toFixed(6)
  const passed = outcome === 'poweroff'
  const failure = passed ? [] : [`    <failure message="${escaped(`the guest ended by: ${outcome}`)}"/>`]
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuite name="xenolith" tests="1" failures="${passed ? 0 : 1}" errors="0" skipped="0" time="${time}">`,
    `  <testcase classname="xenolith.boot" name="${escaped(name)}" time="${time}">`,
    ...failure,
    `    <system-out>${escaped(result.console.join('\n'))}</system-out>`,
    '  </testcase>',
    '</testsuite>',
    '',
  ].join('\n')
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Text as XML holds it; control characters, which it cannot hold, are left out. */
function escaped(text: string): string {
  return Array.from(text, (c) => {
    const code = c.codePointAt(0) ?? 0
    const isText =
      code === 9 || code === 10 || (code >= 0x20 && code < 0xfffe && !(code >= 0xd800 && code < 0xe000))
    return isText || code > 0xffff ? (ENTITIES[c] ?? c) : ''
  }).join('')
}
