import { BOARD_IRQS } from '../../machine/board/board.ts'
import type { Domain, Pirq } from '../domain.ts'
import type { Hypervisor } from '../hypervisor.ts'

/**
 * Physical interrupts: lines of the machine, and the numbers, pirqs, by which a domain knows them. On this machine nothing ever
 * happens on a line; what a dom0 does to have one comes to what it does on a real one.
 */

/** Lines of the machine: one past the last, nr_irqs_gsi. A machine of which nothing is said has an IO-APIC. */
export function lineLimit({ board }: Hypervisor): number {
  return board?.hasIoApic === false ? BOARD_IRQS.pics : BOARD_IRQS.ioApic
}

/** Pirqs that a domU may have beyond the lines: extra_domU_irqs. */
const EXTRA_OF_DOMU = 32

/** One past the highest pirq that a domain may have, nr_pirqs: domain_create(), arch_hwdom_irqs(). */
export function pirqLimit(xen: Hypervisor, { privileged, vcpus }: Domain): number {
  const bits = 32 - Math.clz32(Math.max(1, vcpus.length))
  return lineLimit(xen) + (privileged ? bits * xen.version.abi.dynamicIrqs : EXTRA_OF_DOMU)
}

/** What a domain has under a pirq, or undefined. */
export function pirqOf(domain: Domain, pirq: number): Pirq | undefined {
  return domain.pirqs.find((p) => p.pirq === pirq)
}

/** The line of a pirq; 0 when it has none. */
export function lineOf(domain: Domain, pirq: number): number {
  const found = pirqOf(domain, pirq)
  return found === undefined || found.isLeaving ? 0 : found.line
}

/** The timer's, and the one between the PICs: Xen has them. */
export function isOfXen(line: number): boolean {
  return line === 0 || line === 2
}

/** Whether a domain has the right to a line: dom0 to all but the timer's, and those that it has lost. irq_access_permitted(). */
export function mayUseLine(xen: Hypervisor, domain: Domain, line: number): boolean {
  return domain.privileged && line > 0 && line < lineLimit(xen) && !domain.deniedLines.includes(line)
}

/** The same for the line of a pirq: pirq_access_permitted(). */
export function mayUsePirq(xen: Hypervisor, domain: Domain, pirq: number): boolean {
  return mayUseLine(xen, domain, lineOf(domain, pirq))
}

/** A pirq that is free: a number of no line, from the end; where one of a line is wanted, one as of a line first. -1 when there is none. */
export function freePirq(xen: Hypervisor, domain: Domain, isOfLine: boolean): number {
  const lines = lineLimit(xen)
  if (isOfLine) {
    for (let n = BOARD_IRQS.pics; n < lines; n++) if (pirqOf(domain, n) === undefined) return n
  }
  for (let n = pirqLimit(xen, domain) - 1; n >= lines; n--) if (pirqOf(domain, n) === undefined) return n
  return -1
}

/** A pirq is that of a line from now on; of line 0, it is only given out. */
export function setPirq(domain: Domain, pirq: number, line: number): void {
  forgetPirq(domain, pirq)
  domain.pirqs.push({ pirq, line, isLeaving: false })
}

/** A domain loses a line, and its right to it. While a port is bound to it, the pirq stays. Xen: unmap_domain_pirq(). */
export function takePirq(domain: Domain, { pirq, line }: Pirq): void {
  const isBound = domain.ports.some((p) => p?.kind === 'pirq' && p.pirq === pirq)
  forgetPirq(domain, pirq)
  if (isBound) domain.pirqs.push({ pirq, line, isLeaving: true })
  domain.deniedLines.push(line)
}

/** The port of a pirq is closed. */
export function releasePirq(domain: Domain, pirq: number): void {
  if (pirqOf(domain, pirq)?.isLeaving === true) forgetPirq(domain, pirq)
}

function forgetPirq({ pirqs }: Domain, pirq: number): void {
  const at = pirqs.findIndex((p) => p.pirq === pirq)
  if (at !== -1) pirqs.splice(at, 1)
}
