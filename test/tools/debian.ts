import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kernelPackage, packageFolder } from '../cpu/real-code.ts'
import { missing, needs } from './tools.ts'

/** Guests out of Debian's packages, as they come. A reason instead of bytes: what is missing. */
export type Missing = { readonly reason: string }
export type DebianFile = { readonly name: string; readonly bytes: Uint8Array }

/** The kernel that a package without a version stands for: `linux-image-cloud-amd64`, `linux-image-amd64`. */
export function debianKernel(metaPackage: string): DebianFile | Missing {
  const name = kernelPackage(metaPackage)
  const folder = typeof name === 'string' ? packageFolder(name) : name
  if (typeof folder !== 'string') return folder
  const [file] = readdirSync(join(folder, 'boot')).filter((entry) => entry.startsWith('vmlinuz'))
  return { name: file, bytes: readFileSync(join(folder, 'boot', file)) }
}

export function debianBusybox(): Uint8Array | Missing {
  const folder = packageFolder('busybox-static')
  return typeof folder === 'string' ? readFileSync(join(folder, 'bin/busybox')) : folder
}

/** GRUB for Xen's PV guests, made by its own tool: with a prompt, and the commands that a test needs. */
export function debianGrub(): DebianFile | Missing {
  const tool = 'grub-mkimage'
  const absent = needs(tool)
  if (absent !== false) return { reason: absent }
  const modules = packageFolder('grub-xen-bin')
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
