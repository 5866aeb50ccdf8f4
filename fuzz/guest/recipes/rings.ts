import { EVTCHNOP, MEMORY_OP } from '../../../src/xen/abi.ts'
import type { Values } from '../values.ts'
import { extended } from './page-tables.ts'
import { H, type Recipe, SELF, withList } from './recipe.ts'

const PATHS = [
  'data',
  'data/x',
  'data/x',
  'data/a/b',
  'name',
  'memory/target',
  'control/shutdown',
  '/',
  '@releaseDomain',
]
const FAR_PATHS = ['/local/domain/1/data/x', '/local/domain/0', '/local/domain/1', 'device/vif', '', 'x']

/** A request of xenstore's: its type and what it says. */
export function request(v: Values): readonly [type: number, text: string] {
  if (v.once(5)) return [v.pick([6, 7, 10, 17, 19, 8, 9, 20, 255, 0]), v.pick(['T\0', 'F\0', '1\0', '', '0'])]
  const path = v.once(4) ? v.pick(FAR_PATHS) : v.pick(PATHS)
  return [
    v.pick([1, 2, 3, 4, 5, 11, 11, 12, 13, 14]),
    `${path}\0${v.pick(['', 'x', 'token\0', 'n1\0', 'y'.repeat(64)])}`,
  ]
}

/** A request of xenstore's protocol in the ring, and the word to its other end. */
export const xenstore: Recipe = (v) => {
  const lines: string[] = []
  const [type, text] = request(v)
  const head = Buffer.alloc(16)
  head.writeUInt32LE(type, 0)
  head.writeUInt32LE(v.upTo(4), 4)
  head.writeUInt32LE(v.once(3) ? v.upTo(3) : 0, 8)
  head.writeUInt32LE(v.once(10) ? v.random.bits() : text.length, 12)
  const message = Buffer.concat([head, Buffer.from(text)])
  const from = v.once(6) ? v.upTo(1024) : 0
  for (let i = 0; i < message.length; i += 8) {
    const word = Buffer.alloc(8)
    message.copy(word, 0, i, i + 8)
    lines.push(`put64 store+${(from + i) % 1024} 0x${word.readBigUInt64LE().toString(16)}`)
  }
  if (v.once(3)) lines.push(`put32 store+2056 ${v.once(2) ? v.odd() : v.upTo(2048)}`)
  if (v.once(6)) lines.push(`put32 store+${2048 + v.upTo(6) * 4} ${v.odd()}`)
  lines.push(`put32 store+2048 ${from}`, `put32 store+2052 ${v.once(6) ? v.odd() : from + message.length}`)
  lines.push(...withList(v, ['1'], (at) => `call ${H.event_channel_op} ${EVTCHNOP.send} ${at}`))
  return lines
}

export const console: Recipe = (v) => {
  const lines: string[] = []
  for (let i = v.upTo(4); i > 0; i--) lines.push(`put64 console+${v.upTo(4096)} ${v.odd()}`)
  for (let i = 1 + v.upTo(3); i > 0; i--)
    lines.push(`put32 console+${3072 + v.upTo(4) * 4} ${v.once(2) ? v.upTo(3000) : v.odd()}`)
  lines.push(...withList(v, ['2'], (at) => `call ${H.event_channel_op} ${EVTCHNOP.send} ${at}`))
  return lines
}

/** A ring's page as something that dom0 must not write to. */
export const ringAsTable: Recipe = (v) => {
  const ring = v.pick(['store', 'console'])
  const lines = [`call ${H.update_va_mapping} ${ring} ${ring}.ma+${v.once(4) ? '0x67' : '0x65'} 2`]
  lines.push(...extended(v, v.upTo(4), `${ring}.mfn`))
  if (v.once(2)) lines.push(...withList(v, [`${ring}.mfn`], (at) => `call ${H.set_gdt} ${at} 512`))
  if (v.once(3)) {
    const list = v.room(1)
    lines.push(
      `data ${list} ${ring}.mfn`,
      ...withList(
        v,
        [list, '1', '0', SELF],
        (at) => `call ${H.memory_op} ${MEMORY_OP.decrease_reservation} ${at}`,
      ),
    )
  }
  lines.push(
    ...withList(
      v,
      [ring === 'store' ? '1' : '2'],
      (at) => `call ${H.event_channel_op} ${EVTCHNOP.send} ${at}`,
    ),
  )
  return lines
}
