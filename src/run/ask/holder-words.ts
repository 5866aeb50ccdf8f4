import type { FrameHolder } from './frame-report.ts'

/**
 * A holder that is no entry, in words.
 *
 * @param domain its domain's name, where it has one
 */
export function holderWords(kind: FrameHolder['kind'], domain?: string, as?: string): string {
  switch (kind) {
    case 'root':
      return `the ${as} root of ${domain}`
    case 'descriptors':
      return `the ${as} of ${domain}`
    case 'vcpu-info':
      return `Xen, for the vcpu_info of ${domain}`
    case 'eoi-flags':
      return `Xen, for the flags of interrupts of ${domain}`
    case 'backend':
      return `dom0, which has it mapped for the ${as}`
    default:
      return as === undefined ? `the ${kind}` : `Xen, for the ${as} of ${domain}`
  }
}
