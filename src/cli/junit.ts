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
    `    <system-out>${result.console.map(escaped).join('\n')}</system-out>`,
    '  </testcase>',
    '</testsuite>',
    '',
  ].join('\n')
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** What means something in XML, and what it cannot hold: control characters, surrogates by themselves, two that are none. */
const NOT_TEXT = /[&<>"]|[^\t\n\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu

/** Text as XML holds it; what it cannot hold is left out. */
function escaped(text: string): string {
  return text.replace(NOT_TEXT, (c) => ENTITIES[c] ?? '')
}
