import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeWhole } from '../../src/files/write.ts'
import { pack } from './recordings.ts'
import { root } from './tools.ts'

/**
 * `npm run pack-recordings -- FOLDER`: makes the packs of test/data/recordings out of a folder that has `oracle/` and the
 * others. The same files make the same packs. It takes minutes, as the packs are made small.
 */
const SETS = ['oracle', 'oracle-4.14', 'oracle-4.20', 'real-boots']
const [folder] = process.argv.slice(2)
const place = join(root, 'test', 'data', 'recordings')

if (folder === undefined) {
  console.error('pack-recordings: name the folder that has oracle/ and real-boots/')
  process.exitCode = 2
} else {
  mkdirSync(place, { recursive: true })
  for (const set of SETS) {
    const names = readdirSync(join(folder, set), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(jsonl|json|log)$/.test(name))
      .map((name) => ({ path: `${set}/${name}`, text: readFileSync(join(folder, set, name), 'latin1') }))
    const packed = pack(names)
    writeWhole(join(place, `${set}.br`), packed)
    console.log(`${set}: ${names.length} files, ${packed.length} bytes`)
  }
}
