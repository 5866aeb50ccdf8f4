import {
  GNTTABOP,
  HYPERCALL,
  MCA_INTERFACE_VERSION,
  PHYSDEV_OP,
  XENPF,
  XENPF_INTERFACE_VERSION,
  XENVER,
} from '../../../src/xen/abi.ts'
import { eventChannel, schedule, vcpuOperation } from './events.ts'
import { exchange, reservation } from './memory.ts'
import { mmuext, mmuUpdate, updateVa } from './page-tables.ts'
import { H, type Recipe, SELF, some, withList } from './recipe.ts'

export const callbacks: Recipe = (v) => {
  const address = v.once(3) ? v.address() : v.pick(['@resume', '@return', '@back', '@l0'])
  if (v.once(3))
    return [`call ${H.set_callbacks} ${address} ${v.address()} ${v.pick(['@resume', '@return', v.odd()])}`]
  return withList(
    v,
    [`${v.upTo(9)}+0x${v.upTo(2)}0000`, address],
    (at) => `call ${H.callback_op} ${v.upTo(3)} ${at}`,
  )
}

export const traps: Recipe = (v) => {
  const entries = some(v, 4, () => [
    `${v.pick([0, 1, 3, 6, 7, 13, 14, 14, 0x40, 0x80, 255])}+0x${v.upTo(8)}00+0xe0330000`,
    v.pick(['@resume', '@return', '@back', '@l0', v.address()]),
  ])
  return withList(
    v,
    [...entries.flat(), '0', '0'],
    (at) => `call ${H.set_trap_table} ${v.once(20) ? '0' : at}`,
  )
}

export const grants: Recipe = (v) => {
  const frames = v.room(8)
  const lines = [
    ...withList(
      v,
      [`${SELF}+0x${1 + v.upTo(4)}00000000`, '0', frames],
      (at) => `call ${H.grant_table_op} ${GNTTABOP.setup_table} ${at} 1`,
    ),
  ]
  const page = v.page()
  if (v.once(2)) {
    const [request, slot] = [v.room(2), `${page}.pte`]
    lines.push(
      `data ${request} ${slot}`,
      `entry ${request}+8 ${frames}+${v.upTo(3) * 8} ${v.flags()}`,
      `call ${H.mmu_update} ${request} 1 0 ${SELF}`,
      `put64 ${page}+${v.offset()} ${v.odd()}`,
    )
  }
  if (v.once(2))
    lines.push(
      ...withList(
        v,
        Array.from({ length: 6 }, () => v.any()),
        (at) => `call ${H.grant_table_op} ${v.upTo(14)} ${at} ${v.upTo(3)}`,
      ),
    )
  return lines
}

export const multicall: Recipe = (v) => {
  const calls = some(v, 4, () => v.pick(SINGLE)(v))
  const before: string[] = []
  const words: string[] = []
  for (const line of calls.flat()) {
    const [name, nr, ...args] = line.split(' ')
    if (name !== 'call') before.push(line)
    else words.push(nr, '0', ...Array.from({ length: 6 }, (_, i) => args[i] ?? '0'))
  }
  const count = v.once(10) ? v.any() : String(words.length / 8)
  return [...before, ...withList(v, words, (at) => `call ${H.multicall} ${at} ${count}`)]
}

export const small: Recipe = (v) => {
  switch (v.upTo(8)) {
    case 0:
      return [`call ${H.vm_assist} ${v.upTo(3)} ${v.pick([0, 1, 2, 2, 3, 4, 5, 32])}`]
    case 1:
      return [`call ${H.fpu_taskswitch} ${v.upTo(2)}`]
    case 2:
      return [`call ${H.stack_switch} ${v.pick(['0xe02b', v.odd()])} ${v.address()}`]
    case 3:
      return [
        `call ${H.set_debugreg} ${v.upTo(9)} ${v.once(2) ? v.address() : v.odd()}`,
        `call ${H.get_debugreg} ${v.upTo(9)}`,
      ]
    case 4:
      return [`call ${H.xen_version} ${v.pick(Object.values(XENVER))} ${v.address()}`]
    case 5:
      return withList(
        v,
        [v.odd(), v.odd()],
        (at) => `call ${H.console_io} ${v.upTo(3)} ${v.pick(['1', '8', '100', '0'])} ${at}`,
      )
    case 6:
      return withList(
        v,
        [v.pick(['0', '1', '3', v.odd()]), '0'],
        (at) => `call ${H.physdev_op} ${v.pick([6, 7, v.upTo(32)])} ${at}`,
      )
    default:
      return [`call ${H.sched_op_compat} ${v.pick([0, 1])} ${v.any()}`]
  }
}

/** What a domU may ask of the machine, and what is dom0's: interrupts with a page for their flags, the clock, machine checks. */
export const platform: Recipe = (v) => {
  switch (v.upTo(4)) {
    case 0: {
      const command = v.pick([PHYSDEV_OP.pirq_eoi_gmfn_v1, PHYSDEV_OP.pirq_eoi_gmfn_v2])
      return withList(v, [v.mfn()], (at) => `call ${H.physdev_op} ${command} ${at}`)
    }
    case 1: {
      const pirq = v.pick(['1', '5', '16', '55', '-1', v.odd()])
      return withList(
        v,
        [`${SELF}+0x${v.upTo(4)}00000000`, pirq],
        (at) => `call ${H.physdev_op} ${v.pick(Object.values(PHYSDEV_OP))} ${at}`,
      )
    }
    case 2: {
      const head = `${v.pick(Object.values(XENPF))}+0x${XENPF_INTERFACE_VERSION.toString(16)}00000000`
      return withList(v, [head, v.any(), v.any()], (at) => `call ${H.platform_op} ${at}`)
    }
    default:
      return withList(
        v,
        [`${v.upTo(4)}+0x${MCA_INTERFACE_VERSION.toString(16)}00000000`],
        (at) => `call ${H.mca} ${at}`,
      )
  }
}

export const anyCall: Recipe = (v) => {
  const nr = v.once(4) ? String(v.upTo(64)) : String(v.pick(Object.values(HYPERCALL)))
  if (nr === String(H.sched_op_compat) && !v.once(8)) return []
  return withList(
    v,
    Array.from({ length: 5 }, () => v.any()),
    (at) => {
      const args = Array.from({ length: 5 }, () => (v.once(3) ? at : v.any()))
      return `call ${nr} ${args.join(' ')}`
    },
  )
}

/** Recipes that are calls with their lists, and so may stand in a multicall. */
const SINGLE = [
  mmuUpdate,
  updateVa,
  mmuext,
  reservation,
  exchange,
  eventChannel,
  vcpuOperation,
  schedule,
  callbacks,
  traps,
  anyCall,
  small,
]
