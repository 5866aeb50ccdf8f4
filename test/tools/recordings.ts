import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { sharedData } from './shared-data.ts'

/**
 * What real Xen did, as files: `oracle/` and its sisters of other versions have recordings of scripts, `real-boots/` boots of
 * real kernels. They travel with the repository, a pack for each of these folders; $XENOLITH_SHARED may have more.
 */
export type RecordedFile = {
  /** Below the folder of data: `oracle/hand/01-pin-rw-left.debug.jsonl`. */
  readonly path: string
  readonly text: string
}

const PACKS = new URL('../data/recordings/', import.meta.url)

const unpacked = new Map<string, readonly RecordedFile[]>()

/** All files of a folder such as `oracle` or `oracle/fuzz`, in the order of their paths. */
export function recordings(folder: string): RecordedFile[] {
  const [set] = folder.split('/')
  const packed = packOf(set).filter(({ path }) => path.startsWith(`${folder}/`))
  const known = new Set(packed.map(({ path }) => path))
  const more = sharedFiles(folder).filter(({ path }) => !known.has(path))
  return [...packed, ...more].sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** The text of one file. */
export function recorded(path: string): string {
  const [set] = path.split('/')
  const file = packOf(set).find((one) => one.path === path)
  if (file === undefined) throw new Error(`no recording is named ${path}`)
  return file.text
}

function packOf(set: string): readonly RecordedFile[] {
  const known = unpacked.get(set)
  if (known !== undefined) return known
  const pack = new URL(`${set}.br`, PACKS)
  const files = existsSync(pack) ? unpack(readFileSync(pack)) : []
  unpacked.set(set, files)
  return files
}

function sharedFiles(folder: string): RecordedFile[] {
  const place = sharedData(folder)
  if (place === null) return []
  return readdirSync(place, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(jsonl|json|log)$/.test(name))
    .map((name) => ({ path: `${folder}/${name}`, text: readFileSync(join(place, name), 'latin1') }))
}

/** Files as one: of each a line with path and bytes, then its bytes, all of it compressed. */
export function pack(files: readonly RecordedFile[]): Uint8Array {
  const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1))
  const whole = Buffer.from(
    sorted.map(({ path, text }) => `${path} ${text.length}\n${text}`).join(''),
    'latin1',
  )
  return brotliCompressSync(whole, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
      [constants.BROTLI_PARAM_SIZE_HINT]: whole.length,
    },
  })
}

export function unpack(packed: Uint8Array): RecordedFile[] {
  const whole = brotliDecompressSync(packed)
  const files: RecordedFile[] = []
  for (let at = 0; at < whole.length; ) {
    const end = whole.indexOf('\n', at)
    const [path, bytes] = whole.toString('latin1', at, end).split(' ')
    at = end + 1 + Number(bytes)
    // A byte a character: consoles are no UTF-8.
    files.push({ path, text: whole.toString('latin1', end + 1, at) })
  }
  return files
}
