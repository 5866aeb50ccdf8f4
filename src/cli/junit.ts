import { foreignMarkup } from '../bits/foreign-text.ts'
import { withoutColours } from '../bits/lines.ts'
import type { KernelResult } from '../run/kernel/kernel-boot.ts'
import { faultText } from '../run/kernel/kernel-fault.ts'

/** A guest's run as a JUnit report with one test case, which passes when the guest powered off, or came to the line that was asked for. */
export function junitReport(result: KernelResult): string {
  const { name, outcome, nanoseconds } = result
  const time = (nanoseconds / 1e9).toFixed(6)
  const passed = outcome === 'poweroff' || outcome === 'reached'
  const fault = result.fault === null ? '' : `: ${faultText(result.fault)}`
  const failure = passed
    ? []
    : [`    <failure message="${foreignMarkup(`the guest ended by: ${outcome}${fault}`)}"/>`]
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuite name="xenolith" tests="1" failures="${passed ? 0 : 1}" errors="0" skipped="0" time="${time}">`,
    `  <testcase classname="xenolith.boot" name="${foreignMarkup(name)}" time="${time}">`,
    ...failure,
    `    <system-out>${result.console.map((line) => foreignMarkup(withoutColours(line))).join('\n')}</system-out>`,
    '  </testcase>',
    '</testsuite>',
    '',
  ].join('\n')
}
