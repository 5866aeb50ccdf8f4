import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import {
  type DebianPackage,
  fetchPackage,
  kernelPackage,
  type Missing,
  type Suite,
  unpackedPackage,
} from '../../oracle/debian.ts'
import { missing, needs } from './tools.ts'

/** Guests out of Debian's packages, as they come. A reason instead of bytes: what is missing. */
export type { Missing, Suite }
export type DebianFile = { readonly name: string; readonly bytes: Uint8Array }

/** Only CI downloads what is not there yet; elsewhere a missing package is the reason to skip. */
const DOWNLOADS = process.env.CI === 'true'

/** A package's files, unpacked: their folder. Under CI a package that cannot be had is an error. */
function debianPackage(wanted: DebianPackage): string | Missing {
  const { suite, name } = wanted
  if (!DOWNLOADS)
    return (
      unpackedPackage(wanted) ?? { reason: `${name} of ${suite} was not downloaded yet: CI=true does it` }
    )
  const folder = fetchPackage(wanted)
  return typeof folder === 'string' ? folder : { reason: missing(folder.reason) }
}

/** The kernel that a package without a version stands for: `linux-image-cloud-amd64`, `linux-image-amd64`. */
export function debianKernel(metaPackage: DebianPackage): DebianFile | Missing {
  const wanted = kernelPackage(metaPackage, DOWNLOADS)
  if ('reason' in wanted) return { reason: missing(wanted.reason) }
  const folder = debianPackage(wanted)
  if (typeof folder !== 'string') return folder
  // In /boot, and since Linux 7 among its modules.
  const path = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((entry) =>
    basename(entry).startsWith('vmlinuz'),
  )
  if (path === undefined) return { reason: missing(`${wanted.name} has no kernel inside`) }
  return { name: basename(path), bytes: readFileSync(join(folder, path)) }
}

export function debianBusybox(): Uint8Array | Missing {
  const folder = debianPackage({ suite: 'bookworm', name: 'busybox-static' })
  return typeof folder === 'string' ? readFileSync(join(folder, 'bin/busybox')) : folder
}

/** GRUB for Xen's PV guests, made by its own tool: with a prompt, and the commands that a test needs. */
export function debianGrub(): DebianFile | Missing {
  const tool = 'grub-mkimage'
  const absent = needs(tool)
  if (absent !== false) return { reason: absent }
  const modules = debianPackage({ suite: 'bookworm', name: 'grub-xen-bin' })
  if (typeof modules !== 'string') return modules
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-grub-'))
  try {
    const image = join(folder, 'grub')
    const from = join(modules, 'usr/lib/grub/x86_64-xen')
    const words = ['-O', 'x86_64-xen', '-d', from, '-p', '/', '-o', image, 'normal', 'echo', 'ls', 'halt']
    const { status } = spawnSync(tool, words, { stdio: 'ignore' })
    return status === 0
      ? { name: 'grub', bytes: readFileSync(image) }
      : { reason: missing('grub-mkimage does not run here') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
