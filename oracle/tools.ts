import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { BadInput } from '../src/bits/bad-input.ts'
import { type DebianPackage, fetchPackage, unpackedPackage } from './debian.ts'

/** What real Xen needs to run a script: an emulator, the hypervisor and the probe. Paths. */
export type Tools = { readonly qemu: string; readonly xen: string; readonly probe: string }

const root = join(import.meta.dirname, '..')
const cache = join(root, 'node_modules', '.cache', 'xenolith-oracle')

/** The releases of Xen that there are packages of: Debian's, each of the suite that ships it. */
export const XEN_PACKAGES = {
  '4.14': { suite: 'bullseye', name: 'xen-hypervisor-4.14-amd64' },
  '4.17': { suite: 'bookworm', name: 'xen-hypervisor-4.17-amd64' },
  '4.20': { suite: 'trixie', name: 'xen-hypervisor-4.20-amd64' },
} as const satisfies Record<string, DebianPackage>
export type PackagedXen = keyof typeof XEN_PACKAGES
export const PACKAGED_XENS = Object.keys(XEN_PACKAGES) as PackagedXen[]
/** What is asked where nobody says which. */
export const DEFAULT_PACKAGED_XEN: PackagedXen = '4.17'

const QEMU = 'qemu-system-x86_64'
/** The packages of Debian that have the commands. */
const PACKAGES: Readonly<Record<string, string>> = {
  [QEMU]: 'qemu-system-x86',
  gcc: 'gcc',
  ld: 'binutils',
  make: 'make',
}

/**
 * What is not there, in one line that says what to install; null when everything is. The package of a hypervisor is downloaded
 * when its turn comes, so it is missing only where that is not allowed.
 */
export function missingTool(xen: PackagedXen = DEFAULT_PACKAGED_XEN, download = true): string | null {
  for (const [command, name] of Object.entries(PACKAGES)) {
    if (spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command]).status !== 0)
      return `${command} is not installed: apt-get install ${name}`
  }
  const image = process.env.XENOLITH_XEN
  if (image !== undefined) return existsSync(image) ? null : `XENOLITH_XEN: there is no ${image}`
  const wanted = XEN_PACKAGES[xen]
  if (download || unpackedPackage(wanted) !== null) return null
  return `${wanted.name} was not downloaded yet: npm run oracle does it, or CI=true`
}

/**
 * The tools, made ready: the hypervisor downloaded and unpacked, the probe built. All is kept. Throws BadInput when something is
 * missing.
 *
 * @param xen which release; an image that $XENOLITH_XEN names, compressed or not, stands for any
 */
export function findTools(xen: PackagedXen = DEFAULT_PACKAGED_XEN): Tools {
  const missing = missingTool(xen)
  if (missing !== null) throw new BadInput(missing)
  mkdirSync(cache, { recursive: true })
  return {
    qemu: QEMU,
    xen: unpackedImage(process.env.XENOLITH_XEN ?? packagedImage(xen)),
    probe: builtProbe(),
  }
}

function packagedImage(xen: PackagedXen): string {
  const folder = fetchPackage(XEN_PACKAGES[xen])
  if (typeof folder !== 'string')
    throw new BadInput(`${folder.reason}; XENOLITH_XEN may name an image of Xen ${xen}`)
  return join(folder, 'boot', `xen-${xen}-amd64.gz`)
}

function hashOf(...parts: readonly (Buffer | string)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex').slice(0, 16)
}

function unpackedImage(packed: string): string {
  const image = readFileSync(packed)
  const path = join(cache, `xen-${hashOf(image)}`)
  if (existsSync(path)) return path
  const isGzip = image[0] === 0x1f && image[1] === 0x8b
  // Another process may do the same: the file appears at once, and whole.
  const own = `${path}.${process.pid}`
  writeFileSync(own, isGzip ? gunzipSync(image) : image)
  renameSync(own, path)
  return path
}

/** The probe's image, made when it is not there: its path. */
export function builtProbe(): string {
  return builtGuest('probe')
}

/** The image of one of the kernels in guests/, made when it is not there: its path. All of them are made of the probe's parts. */
export function builtGuest(name: 'probe' | 'calls'): string {
  mkdirSync(cache, { recursive: true })
  const folder = (of: string): string => join(root, 'guests', of)
  const sources = [...new Set(['probe', name])].flatMap((of) =>
    readdirSync(folder(of))
      .filter((file) => /\.(c|h|S)$|^Makefile$/.test(file))
      .sort()
      .map((file) => readFileSync(join(folder(of), file))),
  )
  const path = join(cache, `${name}-${hashOf(...sources)}`)
  if (existsSync(path)) return path
  const out = mkdtempSync(join(cache, 'build-'))
  try {
    const made = spawnSync('make', ['-C', folder(name), `OUT=${out}`], { encoding: 'utf8' })
    if (made.status !== 0)
      throw new BadInput(
        `the ${name} kernel does not build: make -C ${folder(name)}: ${lastLine(made.stderr)}`,
      )
    renameSync(join(out, `${name}.elf`), path)
  } finally {
    rmSync(out, { recursive: true })
  }
  return path
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
