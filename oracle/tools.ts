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

/** What real Xen needs to run a script: an emulator, the hypervisor and the probe. Paths. */
export type Tools = { readonly qemu: string; readonly xen: string; readonly probe: string }

const root = join(import.meta.dirname, '..')
const cache = join(root, 'node_modules', '.cache', 'xenolith-oracle')
/** Where Debian's package xen-hypervisor-4.17-amd64 puts the hypervisor. */
const DEBIAN_XEN = '/boot/xen-4.17-amd64.gz'
const QEMU = 'qemu-system-x86_64'
/** The packages of Debian that have the commands. */
const PACKAGES: Readonly<Record<string, string>> = {
  [QEMU]: 'qemu-system-x86',
  gcc: 'gcc',
  ld: 'binutils',
  make: 'make',
}

/** The hypervisor's image: $XENOLITH_XEN, compressed or not, or Debian's. */
function xenImage(): string {
  return process.env.XENOLITH_XEN ?? DEBIAN_XEN
}

/** What is not there, in one line that says what to install; null when everything is. */
export function missingTool(): string | null {
  for (const [command, name] of Object.entries(PACKAGES)) {
    if (spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command]).status !== 0)
      return `${command} is not installed: apt-get install ${name}`
  }
  const image = xenImage()
  if (existsSync(image)) return null
  return image === DEBIAN_XEN
    ? `${image} is not there: apt-get install xen-hypervisor-4.17-amd64, or set XENOLITH_XEN to an image of Xen 4.17`
    : `XENOLITH_XEN: there is no ${image}`
}

/** The tools, made ready: the image unpacked, the probe built. Both are kept. Throws BadInput when something is missing. */
export function findTools(): Tools {
  const missing = missingTool()
  if (missing !== null) throw new BadInput(missing)
  mkdirSync(cache, { recursive: true })
  return { qemu: QEMU, xen: unpackedXen(), probe: builtProbe() }
}

function hashOf(...parts: readonly (Buffer | string)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex').slice(0, 16)
}

function unpackedXen(): string {
  const image = readFileSync(xenImage())
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
