import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { biomeOverrides, withTables } from './walls.ts'

/** `npm run rooms`: the walls of `rooms.ts` into biome.json and ARCHITECTURE.md. */
const file = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url))

const config = JSON.parse(readFileSync(file('biome.json'), 'utf8'))
writeFileSync(file('biome.json'), JSON.stringify({ ...config, overrides: biomeOverrides(config.overrides) }))
const guide = file('ARCHITECTURE.md')
writeFileSync(guide, withTables(readFileSync(guide, 'utf8')))
spawnSync(file('node_modules/.bin/biome'), ['format', '--write', 'biome.json'], { cwd: file('') })
