import { EVTCHNOP, SCHED_OP, VCPUOP } from '../../../src/xen/abi.ts'
import { H, type Recipe, SELF, withList } from './recipe.ts'

export const eventChannel: Recipe = (v) => {
  const command = v.once(10) ? v.upTo(16) : v.pick(Object.values(EVTCHNOP))
  const port = v.once(6) ? v.any() : String(v.upTo(8))
  const first =
    command === EVTCHNOP.bind_virq || command === EVTCHNOP.bind_pirq
      ? `${v.upTo(26)}`
      : command === EVTCHNOP.status ||
          command === EVTCHNOP.alloc_unbound ||
          command === EVTCHNOP.bind_interdomain ||
          command === EVTCHNOP.reset
        ? v.pick([SELF, '0x7ff07ff0', '1', '0', '0x10001', v.odd()])
        : port
  const words = [`${first}${v.once(3) ? `+0x${v.upTo(3)}00000000` : ''}`, v.once(2) ? '0' : port, '0']
  const compat = v.once(10)
  // The old form has its structure four bytes behind the command.
  const old = [`${command}+0x${v.upTo(8)}00000000`, ...words.slice(1)]
  return withList(v, compat ? old : words, (at) =>
    compat ? `call ${H.event_channel_op_compat} ${at}` : `call ${H.event_channel_op} ${command} ${at}`,
  )
}

/** The shared page mapped, and written to. */
export const sharedInfo: Recipe = (v) => {
  const page = v.page()
  const lines = [`call ${H.update_va_mapping} ${page} shared.ma+${v.once(5) ? v.flags() : '0x67'} 2`]
  for (let i = v.upTo(5); i > 0; i--) {
    const at = v.pick([0, 1, 8, 16, 32, 40, 64, 0x800, 0x808, 0xa00, 0xa08, 0xc00, v.upTo(4088)])
    lines.push(
      `${v.pick(['put8', 'put32', 'put64', 'and64', 'btr64', 'xchg64'])} ${page}+${at} ${v.pick(['0', '1', '-1', '0x100', v.odd()])}`,
    )
  }
  if (v.once(3)) lines.push(`put8 ${page}+1 0`)
  return lines
}

export const vcpuInfo: Recipe = (v) => {
  const frame = v.once(3) ? v.frame() : v.pick(['p0', 'p1', 'd', 'code', 'stack', v.page()])
  const offset = v.once(3) ? v.any() : String(v.upTo(64) * 64)
  const lines = [
    ...withList(
      v,
      [`${frame}.mfn`, offset, '0'],
      (at) => `call ${H.vcpu_op} ${VCPUOP.register_vcpu_info} ${v.once(12) ? v.any() : 0} ${at}`,
    ),
  ]
  if (v.once(2)) lines.push(`put8 ${frame}+${Number(offset) >= 0 ? Number(offset) + 1 : 1} 0`)
  if (v.once(4)) lines.push(`call ${H.update_va_mapping} ${frame} ${v.entry()} 2`)
  return lines
}

export const vcpuOperation: Recipe = (v) => {
  const command = v.once(8) ? v.upTo(16) : v.pick(Object.values(VCPUOP))
  const deadline = v.pick([
    '0',
    '1000',
    '100000',
    '1000000',
    '2000000',
    '10000000',
    '-1',
    '0x7fffffffffffffff',
    v.odd(),
  ])
  const first =
    command === VCPUOP.register_runstate_memory_area || command === VCPUOP.register_vcpu_time_memory_area
      ? v.address()
      : deadline
  if (command === VCPUOP.down && !v.once(8)) return []
  return withList(
    v,
    [first, v.small(), '0'],
    (at) => `call ${H.vcpu_op} ${command} ${v.once(12) ? v.any() : 0} ${at}`,
  )
}

export const timer: Recipe = (v) => {
  const lines = [
    ...withList(
      v,
      [v.pick(['0', '1']), '0'],
      (at) => `call ${H.event_channel_op} ${EVTCHNOP.bind_virq} ${at}`,
    ),
  ]
  lines.push(
    v.once(2)
      ? `call ${H.set_timer_op} ${v.pick(['1', '5000000', '20000000', '-1', '0', v.odd()])}`
      : vcpuOperation(v).join('\n'),
  )
  if (v.once(2)) lines.push(`call ${H.sched_op} ${v.pick([SCHED_OP.block, SCHED_OP.yield])} 0`)
  return lines.flatMap((line) => line.split('\n'))
}

export const schedule: Recipe = (v) => {
  const command = v.pick([
    SCHED_OP.yield,
    SCHED_OP.block,
    SCHED_OP.block,
    SCHED_OP.poll,
    SCHED_OP.poll,
    SCHED_OP.remote_shutdown,
    SCHED_OP.shutdown_code,
    SCHED_OP.watchdog,
    7,
    9,
  ])
  const ports = v.room(4)
  const count = v.once(8) ? v.any() : String(v.upTo(4))
  if (v.once(40))
    return withList(v, [String(v.upTo(7))], (at) => `call ${H.sched_op} ${SCHED_OP.shutdown} ${at}`)
  return [
    `data ${ports} ${v.upTo(8)}+0x${v.upTo(8)}00000000 ${v.any()}`,
    ...withList(
      v,
      [ports, count, v.pick(['0', '1000', '50000000', '-1', v.odd()])],
      (at) => `call ${H.sched_op} ${command} ${at}`,
    ),
  ]
}
