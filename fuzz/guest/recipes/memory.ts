import { MEMORY_OP } from '../../../src/xen/abi.ts'
import { H, type Recipe, SELF, some, withList } from './recipe.ts'

export const reservation: Recipe = (v) => {
  const extents = some(v, 4, () => (v.once(3) ? `${v.own()}.pfn` : v.once(2) ? `f${v.upTo(6)}.mfn` : v.mfn()))
  const list = v.room(extents.length)
  const command = v.pick([
    MEMORY_OP.decrease_reservation,
    MEMORY_OP.increase_reservation,
    MEMORY_OP.populate_physmap,
  ])
  const order = v.once(6) ? v.pick(['1', '3', '9', '10', '12', '-1', v.odd()]) : '0'
  const count = v.once(8) ? v.any() : String(extents.length)
  const start = v.once(8) ? v.upTo(4) * 64 : 0
  const at = v.once(6) ? v.address() : list
  return [
    `data ${list} ${extents.join(' ')}`,
    ...withList(
      v,
      [at, count, order, v.domain()],
      (where) => `call ${H.memory_op} ${command + start} ${where}`,
    ),
  ]
}

export const exchange: Recipe = (v) => {
  // Only what nobody maps can be given away.
  const given = some(v, 3, () => (v.once(3) ? v.mfn() : `f${v.upTo(6)}.mfn`))
  const [from, to] = [v.room(given.length), v.room(16)]
  // The machine has no frame to spare before the guest gives some back.
  const gift = v.room(2)
  const gifts = v.once(2)
    ? []
    : [
        `data ${gift} f10.mfn f11.mfn`,
        ...withList(
          v,
          [gift, '2', '0', SELF],
          (at) => `call ${H.memory_op} ${MEMORY_OP.decrease_reservation} ${at}`,
        ),
      ]
  const order = v.once(5) ? v.pick(['1', '2', '9', v.odd()]) : '0'
  const words = [
    from,
    String(given.length),
    order,
    SELF,
    v.once(6) ? v.address() : to,
    String(given.length),
    order,
    v.domain(),
    '0',
  ]
  return [
    ...gifts,
    `data ${from} ${given.join(' ')}`,
    `data ${to} ${given.map(() => `${v.own()}.pfn`).join(' ')}`,
    ...withList(v, words, (at) => `call ${H.memory_op} ${MEMORY_OP.exchange} ${at}`),
  ]
}

export const memoryQuestion: Recipe = (v) =>
  withList(
    v,
    [v.once(2) ? v.domain() : v.odd(), v.address(), v.any(), '0'],
    (at) => `call ${H.memory_op} ${v.upTo(16)} ${at}`,
  )
