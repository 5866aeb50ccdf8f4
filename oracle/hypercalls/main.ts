import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BadInput } from '../../src/bits/bad-input.ts'
import { readKallsyms } from '../../src/guest/symbols/kallsyms.ts'
import { parseMap } from '../../src/run/maps/maps.ts'
import { unpackKernel } from '../../src/toolstack/image/bzimage.ts'
import { readImage } from '../../src/toolstack/image/image.ts'
import { busyboxInitramfs } from '../../test/tools/initramfs.ts'
import { fetchPackage, kernelPackage, type Missing } from '../debian.ts'
import { findTools, type PackagedXen } from '../tools.ts'
import { recordOurs } from './record-ours.ts'
import { recordXen } from './record-xen.ts'
import { type Comparison, compareCalls } from './report.ts'
import { syscallSites } from './sites.ts'

/** The kernel whose hypercalls are compared: it can be dom0, which the one for clouds cannot. */
const KERNEL = { suite: 'bookworm', name: 'linux-image-amd64' } as const
const BUSYBOX = { suite: 'bookworm', name: 'busybox-static' } as const
const APPEND = 'console=hvc0 earlyprintk=xen'
const DOM0_MIB = 512
const MIB_FRAMES = 256
/** Seconds of the guest's time: more than a boot takes. */
const TIME_LIMIT = 120

/**
 * Boot Debian's kernel as dom0 on real Xen and here, on the same map with the same memory and command line, and compare the
 * hypercalls that it makes up to its first process. Throws BadInput where something is missing.
 *
 * @param report told a line of how far it is
 */
export async function compareHypercalls(
  xen: PackagedXen,
  report: (line: string) => void,
): Promise<Comparison> {
  const tools = findTools(xen)
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-calls-'))
  try {
    const [kernel, initrd] = [join(folder, 'vmlinuz'), join(folder, 'initrd')]
    const packed = readFileSync(fileOf(kernelOf(), /^vmlinuz/))
    writeFileSync(kernel, packed)
    writeFileSync(initrd, busyboxInitramfs(readFileSync(fileOf(BUSYBOX, /^busybox$/))))
    const elf = unpackKernel(packed, 'vmlinuz')
    const symbols = readKallsyms(elf)
    if (symbols === null) throw new BadInput("Debian's kernel has no symbols of its own")
    const files = { xen: tools.xen, kernel, initrd, append: APPEND, dom0MiB: DOM0_MIB }
    const xens = await recordXen(files, syscallSites(readImage(elf), symbols), report)
    report(`${xens.calls.length} hypercalls on real Xen; now here`)
    const ours = recordOurs({
      kernel: { name: 'vmlinuz', bytes: packed },
      ramdisk: { name: 'initrd', bytes: readFileSync(initrd) },
      xen: `${xen}-release`,
      memory: DOM0_MIB * MIB_FRAMES,
      append: APPEND,
      timeLimit: TIME_LIMIT,
      dom0: { map: parseMap(xens.log, "real Xen's console"), firmwareMap: true },
    })
    return compareCalls(ours.calls, xens.calls, symbols)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function kernelOf(): Parameters<typeof fetchPackage>[0] {
  return there(kernelPackage(KERNEL, true))
}

/** The file of a package that has such a name: its path. */
function fileOf(wanted: Parameters<typeof fetchPackage>[0], pattern: RegExp): string {
  const folder = there(fetchPackage(wanted))
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).find(
    (entry) => entry.isFile() && pattern.test(entry.name),
  )
  if (found === undefined) throw new BadInput(`${wanted.name} has no file as ${pattern.source}`)
  return join(found.parentPath, found.name)
}

function there<T extends object | string>(found: T | Missing): T {
  if (typeof found === 'object' && 'reason' in found) throw new BadInput(found.reason)
  return found as T
}
