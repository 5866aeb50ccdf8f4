import { DEFAULT_PACKAGED_XEN, missingTool, type PackagedXen } from '../../oracle/tools.ts'
import { missing, notAsked } from './tools.ts'

/** The `skip` of a test that asks real Xen: false when it can be asked, else the reason. Only CI downloads a hypervisor. */
export function skipOf(xen: PackagedXen = DEFAULT_PACKAGED_XEN): string | false {
  if (notAsked !== false) return notAsked
  const absent = missingTool(xen, process.env.CI === 'true')
  return absent === null ? false : missing(absent)
}
