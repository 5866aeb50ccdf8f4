import {
  EVTCHNOP,
  GNTTABOP,
  HYPERCALL,
  MCA_INTERFACE_VERSION,
  MEMORY_OP,
  MMUEXT,
  PHYSDEV_OP,
  SCHED_OP,
  VCPUOP,
  XENPF,
  XENPF_INTERFACE_VERSION,
  XENVER,
} from '../../src/xen/abi.ts'
import { STORES } from './statements.ts'
import type { Values } from './values.ts'

/** What a hostile kernel does, a kind of thing each: some lines of a program. */
type Recipe = (v: Values) => readonly string[]

const H = HYPERCALL
const SELF = '0x7ff0'

/** A call with a list or structure in memory, which is there from the beginning. */
function withList(v: Values, values: readonly string[], call: (at: string) => string): readonly string[] {
  const at = v.room(values.length)
  // Now and then the list lies elsewhere: in a table, in code, at the end of a page, or is not mapped.
  return [`data ${at} ${values.join(' ')}`, call(v.once(24) ? v.address() : at)]
}

function some<T>(v: Values, most: number, make: () => T): T[] {
  return Array.from({ length: 1 + v.upTo(most) }, make)
}

// ---- page tables ----

const mmuRequest = (v: Values): string[] => {
  const command = v.once(6) ? v.pick([1, 2, 3, 4, 7]) : 0
  if (command === 1)
    return [`${v.mfn().replace('.mfn', '.ma')}+1`, v.once(2) ? v.odd() : String(v.upTo(1200))]
  return [command === 0 ? v.slot() : `${v.slot()}+${command}`, v.entry()]
}

const mmuUpdate: Recipe = (v) => {
  const requests = some(v, 4, () => mmuRequest(v))
  const count = v.once(12) ? v.any() : String(requests.length)
  const done = v.once(3) ? v.address() : '0'
  return withList(v, requests.flat(), (at) => `call ${H.mmu_update} ${at} ${count} ${done} ${v.domain()}`)
}

const updateVa: Recipe = (v) => {
  const flush = v.pick(['0', '1', '2', '5', '6', v.odd()])
  if (v.once(8))
    return [`call ${H.update_va_mapping_otherdomain} ${v.address()} ${v.entry()} ${flush} ${v.domain()}`]
  return [`call ${H.update_va_mapping} ${v.once(3) ? v.address() : v.page()} ${v.entry()} ${flush}`]
}

const EXTENDED = Object.values(MMUEXT)

const mmuextOperation = (v: Values): string[] => {
  const command = v.once(10) ? v.upTo(32) : v.pick(EXTENDED)
  const first = command >= MMUEXT.INVLPG_LOCAL && command <= MMUEXT.INVLPG_ALL ? v.address() : v.mfn()
  if (command === MMUEXT.SET_LDT)
    return [
      String(command),
      v.once(2) ? v.page() : v.address(),
      v.pick(['0', '1', '512', '513', '8192', v.odd()]),
    ]
  return [String(command), first, v.once(3) ? v.mfn() : v.address()]
}

const mmuext: Recipe = (v) => {
  const operations = some(v, 3, () => mmuextOperation(v))
  const count = v.once(12) ? v.any() : String(operations.length)
  return withList(
    v,
    operations.flat(),
    (at) => `call ${H.mmuext_op} ${at} ${count} ${v.once(4) ? v.address() : '0'} ${v.domain()}`,
  )
}

/** One operation of mmuext_op on a frame. */
function extended(v: Values, command: number, frame: string, second = '0'): readonly string[] {
  return withList(v, [String(command), frame, second], (at) => `call ${H.mmuext_op} ${at} 1 0 ${SELF}`)
}

/** Stores to tables in use, where the entries lie: Xen carries them out for a kernel that has asked for it. */
const tableStores: Recipe = (v) => {
  const lines = v.once(3) ? [`call ${H.vm_assist} ${v.once(4) ? 1 : 0} 2`] : []
  for (let i = 1 + v.upTo(4); i > 0; i--) {
    const at = v.once(3) ? `${v.pick(['l1', 'l1b', v.page()])}+${v.offset()}` : `${v.page()}.pteva`
    const odd = v.once(6) ? `+${v.upTo(8)}` : ''
    lines.push(`${v.pick(STORES)} ${at}${odd} ${v.entry()}`)
    if (v.once(3)) lines.push(`${v.pick(STORES)} ${v.page()}+${v.offset()} ${v.any()}`)
  }
  return lines
}

/** Where a gibibyte of addresses begins that all map the same few pages: the slot below the kernel's own in its L3. */
const WINDOW = '0xffffffff40000000'

/** Lists without an end: three pages, which requests of any size fill, mapped again and again, and counts that reach far. */
const endless: Recipe = (v) => {
  const [list, l1, l2] = ['p10', 'p14', 'p15']
  const lines = [
    ...[10, 11, 12].map((page, i) => `put64 ${l1}+${i * 8} p${page}.ma+0x67`),
    `copy ${l1}+24 ${l1} 509`,
    `fill ${l2} ${l1}.ma+0x67 512`,
    ...[l1, l2].map((page) => `call ${H.update_va_mapping} ${page} ${page}.ma+0x65 2`),
    ...withList(v, [`l3.ma+${509 * 8}`, `${l2}.ma+0x67`], (at) => `call ${H.mmu_update} ${at} 1 0 ${SELF}`),
  ]
  const [words, call] = v.pick(ENDLESS)
  const counts = ['0x7fffffff', '0xffffffff', '0x1000000', '0x80000000', '100000', v.odd()]
  const count = v.pick(counts)
  lines.push(...words.map((word, i) => `put64 ${list}+${i * 8} ${word}`))
  // The rest is like its beginning.
  lines.push(`copy ${list}+${words.length * 8} ${list} ${3 * 512 - words.length}`)
  lines.push(call(WINDOW, count), 'budget 90')
  return lines
}

/** What a list is full of, and the call that reads it. */
const ENDLESS: readonly (readonly [words: readonly string[], call: (at: string, count: string) => string])[] =
  [
    [['p3.pte', 'p3.ma+0x67'], (at, n) => `call ${H.mmu_update} ${at} ${n} 0 ${SELF}`],
    [['p3.pte+2', 'p3.ma+0x67'], (at, n) => `call ${H.mmu_update} ${at} ${n} ${at} ${SELF}`],
    [['p3.ma+1', '5'], (at, n) => `call ${H.mmu_update} ${at} ${n} 0 ${SELF}`],
    [[String(MMUEXT.COPY_PAGE), 'p3.mfn', 'p4.mfn'], (at, n) => `call ${H.mmuext_op} ${at} ${n} 0 ${SELF}`],
    [[String(MMUEXT.TLB_FLUSH_ALL), '0', '0'], (at, n) => `call ${H.mmuext_op} ${at} ${n} 0 ${SELF}`],
    [[String(MMUEXT.NEW_BASEPTR), 'l4.mfn', '0'], (at, n) => `call ${H.mmuext_op} ${at} ${n} 0 ${SELF}`],
    [
      [String(H.mmuext_op), '0', WINDOW, '0x1000000', '0', SELF, '0', '0'],
      (at, n) => `call ${H.multicall} ${at} ${n}`,
    ],
    [[String(H.xen_version), '0', '0', '0', '0', '0', '0', '0'], (at, n) => `call ${H.multicall} ${at} ${n}`],
    [
      [String(H.multicall), '0', WINDOW, '2', '0', '0', '0', '0'],
      (at, n) => `call ${H.multicall} ${at} ${n}`,
    ],
    [['f0.mfn'], (at, n) => `call ${H.memory_op} ${MEMORY_OP.decrease_reservation} ${at}+8 ${n}`],
    [['0x7ff0', '0', '0', '0'], (at, n) => `call ${H.grant_table_op} ${GNTTABOP.query_size} ${at} ${n}`],
    [
      ['0x7ff000000000', '0', '0'],
      (at, n) => `call ${H.grant_table_op} ${GNTTABOP.unmap_grant_ref} ${at} ${n}`,
    ],
    [['0xe03300000e', '@resume'], (at) => `call ${H.set_trap_table} ${at}`],
    [['0x6161616161616161'], (at, n) => `call ${H.console_io} 0 ${n} ${at}`],
    [['0x0a0a0a0a0a0a0a0a'], (at, n) => `call ${H.console_io} 0 ${n} ${at}`],
  ]

/** Large pages, where none may be. */
const largePages: Recipe = (v) =>
  withList(
    v,
    [
      `${v.pick(['l2', 'l3', v.page()])}.ma+${v.upTo(8) * 8}`,
      `${v.frame()}.ma+${v.pick(['0xe7', '0x87', '0xc7', '0x1e7'])}`,
    ],
    (at) => `call ${H.mmu_update} ${at} 1 0 ${SELF}`,
  )

/** Entries in a page, the page read-only, a pin, then stores to what is a table now. */
const makeTable: Recipe = (v) => {
  const page = v.page()
  const level = v.once(3) ? v.upTo(4) : 0
  const lines: string[] = []
  for (let i = v.upTo(5); i > 0; i--) {
    lines.push(`put64 ${page}+${v.upTo(4) === 0 ? v.offset() & ~7 : v.upTo(8) * 8} ${v.entry()}`)
  }
  lines.push(`call ${H.update_va_mapping} ${page} ${page}.ma+${v.once(6) ? '0x67' : '0x65'} 2`)
  lines.push(...extended(v, level, `${page}.mfn`))
  if (v.once(3)) lines.push(`put64 l2+${(2 + v.upTo(4)) * 8} ${page}.ma+0x67`)
  if (v.once(2)) {
    lines.push(
      ...withList(
        v,
        [`l2.ma+${(2 + v.upTo(6)) * 8}`, `${page}.ma+${v.flags()}`],
        (at) => `call ${H.mmu_update} ${at} 1 0 ${SELF}`,
      ),
    )
    lines.push(
      `${v.pick(STORES)} 0xffffffff80${(4 + v.upTo(8) * 2).toString(16).padStart(2, '0')}${v.upTo(8)}000 ${v.any()}`,
    )
  }
  for (let i = v.upTo(4); i > 0; i--) lines.push(`${v.pick(STORES)} ${page}+${v.offset()} ${v.entry()}`)
  if (v.once(2)) lines.push(...extended(v, MMUEXT.UNPIN_TABLE, `${page}.mfn`))
  if (v.once(3)) lines.push(`call ${H.update_va_mapping} ${page} ${page}.ma+0x67 2`)
  return lines
}

/** A copy of the root in a page, which becomes a root: for the kernel, or for processes. */
const newRoot: Recipe = (v) => {
  const page = v.page()
  const lines = v.once(2)
    ? [`copy ${page} l4 512`]
    : [...extended(v, MMUEXT.COPY_PAGE, `${page}.mfn`, 'l4.mfn')]
  if (v.once(3))
    lines.push(`put64 ${page}+${v.pick([0, 8, 255, 256, 258, 271, 272, 510, 511]) * 8} ${v.entry()}`)
  // A table of its own level: itself, or another.
  if (v.once(3)) {
    const other = v.pick([page, 'l4', v.page(), 'l3'])
    lines.push(`put64 ${page}+${v.pick([0, 272, 300, 510]) * 8} ${other}.ma+${v.once(4) ? '0x67' : '0x25'}`)
  }
  lines.push(`call ${H.update_va_mapping} ${page} ${page}.ma+0x65 2`)
  if (v.once(2)) lines.push(...extended(v, MMUEXT.PIN_L4_TABLE, `${page}.mfn`))
  for (let i = 1 + v.upTo(3); i > 0; i--) {
    const root = v.once(3) ? 'l4.mfn' : `${page}.mfn`
    lines.push(...extended(v, v.pick([MMUEXT.NEW_BASEPTR, MMUEXT.NEW_USER_BASEPTR]), root))
  }
  if (v.once(3)) lines.push(`mov rax ${page}.ma`, 'hex 0f22d8')
  if (v.once(4)) lines.push(...extended(v, MMUEXT.UNPIN_TABLE, v.once(2) ? `${page}.mfn` : 'l4.mfn'))
  return lines
}

/** A process: user tables, and iret to it, where it makes system calls and faults. */
const userMode: Recipe = (v) => {
  const lines = v.once(2) ? [...newRoot(v)] : [...extended(v, MMUEXT.NEW_USER_BASEPTR, 'l4.mfn')]
  if (!v.once(4)) lines.push(`call ${H.stack_switch} 0xe02b ${v.once(4) ? v.address() : 'stack+4096'}`)
  const code = v.once(8) ? '@return' : `code+${v.upTo(600)}`
  const flags = v.pick(['0', '0x100', '0x200', v.odd()])
  const rflags = v.pick(['0x202', '0x2', '0x302', '0x3202', '0x246', v.odd()])
  const [cs, ss] = [
    v.pick(['0xe033', '0xe033', '0xe030', '0xe02b', '3', v.odd()]),
    v.pick(['0xe02b', '0xe028', '0', v.odd()]),
  ]
  lines.push(`iret ${flags} ${code} ${cs} ${rflags} ${v.once(3) ? v.address() : 'stack+2048'} ${ss}`)
  return lines
}

// ---- memory of the domain ----

const reservation: Recipe = (v) => {
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

const exchange: Recipe = (v) => {
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

const memoryQuestion: Recipe = (v) =>
  withList(
    v,
    [v.once(2) ? v.domain() : v.odd(), v.address(), v.any(), '0'],
    (at) => `call ${H.memory_op} ${v.upTo(16)} ${at}`,
  )

// ---- descriptors ----

const DESCRIPTORS = [
  '0x00affb000000ffff',
  '0x00cff3000000ffff',
  '0x00cffb000000ffff',
  '0xcff3000000ffff',
  '0x00cf93000000ffff',
  '0',
  '0x0000e90000000000',
  '0x0000ec00e0330000',
  '0x00409a000000ffff',
  '-1',
]

const descriptors: Recipe = (v) => {
  const page = v.page()
  const lines: string[] = []
  for (let i = v.upTo(6); i > 0; i--)
    lines.push(`put64 ${page}+${v.upTo(4) === 0 ? v.offset() & ~7 : v.upTo(6) * 8} ${v.pick(DESCRIPTORS)}`)
  lines.push(`call ${H.update_va_mapping} ${page} ${page}.ma+${v.once(5) ? '0x67' : '0x65'} 2`)
  if (v.once(2)) {
    lines.push(...extended(v, MMUEXT.SET_LDT, page, v.pick(['512', '8192', '1', '0', '1024'])))
  } else {
    const frames = some(v, 2, () => (v.once(4) ? v.mfn() : `${page}.mfn`))
    lines.push(
      ...withList(
        v,
        frames,
        (at) =>
          `call ${H.set_gdt} ${at} ${v.pick(['512', '1', '0', '513', '1024', '7168', '7169', v.odd()])}`,
      ),
    )
  }
  for (let i = v.upTo(6); i > 0; i--) lines.push(...segments(v))
  if (v.once(2))
    lines.push(
      `call ${H.update_descriptor} ${page}.ma+${v.offset() & (v.once(6) ? -1 : ~7)} ${v.pick(DESCRIPTORS)}`,
    )
  if (v.once(2)) lines.push(`call ${H.update_va_mapping} ${page} ${v.entry()} 2`)
  return lines
}

const segments: Recipe = (v) => {
  const selector = v.pick([
    '0',
    '3',
    '7',
    '0xb',
    '0xf',
    '0x13',
    '0x17',
    '0xe033',
    '0xe02b',
    '0xe023',
    '0xe008',
    '0xffff',
    '0xe007',
    `0x${(v.upTo(64) * 8 + v.upTo(8)).toString(16)}`,
  ])
  switch (v.upTo(8)) {
    case 0:
      return [`retf @l${v.upTo(3)} ${selector}`]
    case 1:
      return [
        `iretq ${v.once(2) ? '@resume' : v.address()} ${selector} ${v.pick(['0x202', '0x102', '0x40202', v.odd()])} ${v.address()} ${v.pick(['0xe02b', selector, '0'])}`,
      ]
    case 2:
      return [
        `mov rax ${selector}`,
        `hex ${v.pick(['0f02c8', '0f03c8', '0f00e0', '0f00e8', '480f02c8', '660f03c8'])}`,
      ]
    case 3:
      return [`call ${H.set_segment_base} ${v.upTo(5)} ${v.once(2) ? selector : v.address()}`]
    case 5:
      return [
        `mov rbx ${v.address()}`,
        `hex ${v.pick(['8e23', '8e2b', '8e1b', '0f020b', '0f030b', '0f0023', '0f002b', '8c23', '65488b03', '648803', '6448ff03'])}`,
      ]
    case 4:
      return [`mov rax ${selector}`, 'hex 50', `hex ${v.pick(['0fa1', '0fa9', '480fa1', '8ee0'])}`]
    default:
      return [`seg ${v.pick([0, 2, 3, 4, 5, 1, 6])} ${selector}`]
  }
}

// ---- events and time ----

const eventChannel: Recipe = (v) => {
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
const sharedInfo: Recipe = (v) => {
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

const vcpuInfo: Recipe = (v) => {
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

const vcpuOperation: Recipe = (v) => {
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

const timer: Recipe = (v) => {
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

const schedule: Recipe = (v) => {
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

// ---- the toolstack's rings ----

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
function request(v: Values): readonly [type: number, text: string] {
  if (v.once(5)) return [v.pick([6, 7, 10, 17, 19, 8, 9, 20, 255, 0]), v.pick(['T\0', 'F\0', '1\0', '', '0'])]
  const path = v.once(4) ? v.pick(FAR_PATHS) : v.pick(PATHS)
  return [
    v.pick([1, 2, 3, 4, 5, 11, 11, 12, 13, 14]),
    `${path}\0${v.pick(['', 'x', 'token\0', 'n1\0', 'y'.repeat(64)])}`,
  ]
}

/** A request of xenstore's protocol in the ring, and the word to its other end. */
const xenstore: Recipe = (v) => {
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

const console: Recipe = (v) => {
  const lines: string[] = []
  for (let i = v.upTo(4); i > 0; i--) lines.push(`put64 console+${v.upTo(4096)} ${v.odd()}`)
  for (let i = 1 + v.upTo(3); i > 0; i--)
    lines.push(`put32 console+${3072 + v.upTo(4) * 4} ${v.once(2) ? v.upTo(3000) : v.odd()}`)
  lines.push(...withList(v, ['2'], (at) => `call ${H.event_channel_op} ${EVTCHNOP.send} ${at}`))
  return lines
}

/** A ring's page as something that dom0 must not write to. */
const ringAsTable: Recipe = (v) => {
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

// ---- other hypercalls ----

const callbacks: Recipe = (v) => {
  const address = v.once(3) ? v.address() : v.pick(['@resume', '@return', '@back', '@l0'])
  if (v.once(3))
    return [`call ${H.set_callbacks} ${address} ${v.address()} ${v.pick(['@resume', '@return', v.odd()])}`]
  return withList(
    v,
    [`${v.upTo(9)}+0x${v.upTo(2)}0000`, address],
    (at) => `call ${H.callback_op} ${v.upTo(3)} ${at}`,
  )
}

const traps: Recipe = (v) => {
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

const grants: Recipe = (v) => {
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

const multicall: Recipe = (v) => {
  const calls = some(v, 4, () => {
    const lines = RECIPES[v.pick(SINGLE)](v)
    return lines
  })
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

/** Recipes that are calls with their lists, and so may stand in a multicall. */
const SINGLE = [
  'mmuUpdate',
  'updateVa',
  'mmuext',
  'reservation',
  'exchange',
  'eventChannel',
  'vcpuOperation',
  'schedule',
  'callbacks',
  'traps',
  'anyCall',
  'small',
]

const small: Recipe = (v) => {
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
const platform: Recipe = (v) => {
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

const anyCall: Recipe = (v) => {
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

// ---- the processor ----

const stores: Recipe = (v) =>
  some(v, 4, () => `${v.pick(STORES)} ${v.address()} ${v.once(2) ? v.entry() : v.any()}`)

const strings: Recipe = (v) => {
  const count = v.pick(['1', '8', '512', '513', '1024', v.once(4) ? v.odd() : '64'])
  const name = v.pick(['copy', 'fill', 'fillb'])
  return v.once(6)
    ? ['hex fd', `${name} ${v.address()} ${v.address()} ${count}`, 'hex fc']
    : [`${name} ${v.address()} ${name === 'copy' ? v.address() : v.any()} ${count}`]
}

const cpuidLeaf: Recipe = (v) => [
  `cpuid ${v.once(2) ? `0x4000000${v.upTo(8)}` : v.pick(['0', '1', '7', '0xd', '0x80000001', '0x80000008', v.odd()])} ${v.upTo(3)}`,
]

/** Control registers as a kernel uses them, and as none does. */
const control: Recipe = (v) => {
  const value = v.pick(['0x80050033', '0x8005003b', '0x660', `${v.page()}.ma`, 'l4.ma', v.odd()])
  return [
    `mov rax ${value}`,
    `hex ${v.pick(['0f22c0', '0f22d0', '0f22d8', '0f22e0', '0f06', '0f20c0', '0f20d8'])}`,
  ]
}

const PRIVILEGED = [
  '0f20c0',
  '0f20d0',
  '0f20d8',
  '0f20e0',
  '440f20c0',
  '0f22c0',
  '0f22d0',
  '0f22d8',
  '0f22e0',
  '0f23c0',
  '0f23f8',
  '0f21f0',
  '0f21f8',
  '0f23f0',
  'fa',
  'fb',
  'f4',
  '0f06',
  '0f08',
  '0f09',
  'ec',
  'ee',
  'e460',
  'e660',
  'ed',
  'ef',
  '66ed',
  '6c',
  '6e',
  'f36c',
  'f36e',
  '0f0138',
  '0f01f8',
  '0f32',
  '0f30',
  '0f33',
  '0f31',
  '0f01f9',
  '0f00d8',
  '0f0118',
  '0f0108',
  '0f01d8',
  '0f05',
  '0f34',
  '0f35',
  '480f07',
  '0f07',
  'cf',
  '48cf',
  'cb',
  '48cb',
  'ca0800',
  '9d',
  '9c',
  'cc',
  'cd03',
  'cd04',
  'cd80',
  'cd0e',
  'cd20',
  'ce',
  'f1',
  '0f0b',
  '0fb9',
  '0f0b78656e0fa2',
  '0fa2',
  '62',
  'd7',
  '0f01c1',
  '0f01d0',
  '0fae30',
  '0f77',
  'dbe3',
  '9b',
  'd9d0',
  '0f58c1',
  '0fc7c8',
  'f390',
  '0f1ff0',
  '0f0d08',
  '0fc7f0',
  '0fc7f8',
  '0f01ca',
  '0f01cb',
  '8ed0',
  '8ec0',
  '8cd8',
  'c8040002',
  'c9',
  'f0480fc10424',
  'f00f0b',
  '66666666666666666666666666666690',
  '0f3f',
  'e8fbffffff',
  'ebfe',
  'e3fe',
  'e0fe',
  'f3a4',
  'f2ae',
  '480fc70c24',
  'f80f0b',
  '0f01f0',
  '0f01e0',
  '6690',
  '0f00c0',
  '0f00c8',
]

const instructions: Recipe = (v) => {
  const lines: string[] = []
  for (const register of ['rax', 'rcx', 'rdx', 'rbx', 'rsi', 'rdi'])
    if (v.once(3)) lines.push(`mov ${register} ${v.any()}`)
  for (let i = 1 + v.upTo(3); i > 0; i--) lines.push(`hex ${v.pick(PRIVILEGED)}`)
  return lines
}

const bytes: Recipe = (v) =>
  some(
    v,
    3,
    () => `hex ${Buffer.from(Array.from({ length: 1 + v.upTo(12) }, () => v.upTo(256))).toString('hex')}`,
  )

const MSRS = [
  '0x10',
  '0x1b',
  '0x277',
  '0xc0000080',
  '0xc0000081',
  '0xc0000082',
  '0xc0000100',
  '0xc0000101',
  '0xc0000102',
  '0x40000000',
  '0x1a0',
  '0x8b',
  '0x179',
  '0x400',
  '0xc0010015',
]

const msr: Recipe = (v) => {
  const number = v.once(6) ? v.odd() : v.pick(MSRS)
  if (number === '0x40000000') return [`wrmsr ${number} ${v.once(4) ? v.any() : `${v.frame()}.ma`}`]
  return [v.once(2) ? `rdmsr ${number}` : `wrmsr ${number} ${v.once(2) ? v.address() : v.odd()}`]
}

const flags: Recipe = (v) => [
  `flags ${v.pick(['0x102', '0x302', '0x4002', '0x40002', '0x10002', '0x402', '0x200000', '0x3002', '0x2', v.odd()])}`,
  ...(v.once(2) ? ['hex 90'] : []),
]

const floats: Recipe = (v) => {
  const at = v.once(3) ? v.address() : `${v.page()}+${v.upTo(200) * 16}`
  return [
    `${v.pick(['fxsave', 'fxrstor', 'fnstenv', 'fnsave', 'ldmxcsr', 'stmxcsr', 'put128'])} ${at} ${v.odd()}`,
    `hex ${v.pick(['d9e8', 'd8c1', '0f58c1', 'dbe3', 'd9fa', '9b', '0f77', 'd9f2', 'f30f2cc0'])}`,
  ]
}

/** Code in a page, across the end of a page, or over the running code, and a jump there. */
const ownCode: Recipe = (v) => {
  const at = v.pick([
    `${v.page()}+${v.pick([0, 8, 0xff0, 0xff8, 0xffc, 0xffe, 0xfff, v.upTo(4096)])}`,
    `code+${v.upTo(1500)}`,
  ])
  const lines: string[] = []
  for (let i = 1 + v.upTo(3); i > 0; i--) {
    const code = v.pick([
      'c3',
      '90c3',
      '0f05c3',
      '9090909090c3',
      '48ffc0c3',
      '88c3c3',
      'ebfe',
      'cc',
      '0f0b',
      '48890424c3',
      'c60500000000c3c3',
      `${'90'.repeat(v.upTo(8))}c3`,
    ])
    const word = Buffer.alloc(8, 0x90)
    Buffer.from(code, 'hex').copy(word)
    lines.push(
      `${v.pick(['put64', 'put64', 'xchg64', 'push'])} ${at}${v.once(4) ? `+${v.upTo(8)}` : ''} 0x${word.readBigUInt64LE().toString(16)}`,
    )
    if (!v.once(3)) lines.push(`${v.once(3) ? 'jmp' : 'run'} ${at}`)
  }
  if (v.once(4)) lines.push(`call ${H.update_va_mapping} ${at} ${v.entry()} 2`, `run ${at}`)
  return lines
}

/** One page at two addresses, or another page where one was, with stores and code through both. */
const alias: Recipe = (v) => {
  const [a, b] = [v.page(), v.page()]
  return [
    `call ${H.update_va_mapping} ${a} ${b}.ma+${v.once(3) ? v.flags() : '0x67'} ${v.upTo(3)}`,
    `put64 ${a}+${v.offset()} 0x${v.pick(['c3', 'c390', 'c3050f'])}`,
    `run ${v.pick([a, b])}+${v.offset()}`,
    `${v.pick(STORES)} ${b}+${v.offset()} ${v.any()}`,
    ...(v.once(2) ? [`call ${H.update_va_mapping} ${a} ${a}.ma+0x67 ${v.upTo(3)}`] : []),
  ]
}

/** A stack that faults when something is pushed on it, and then what pushes. */
const badStack: Recipe = (v) => [
  `stack ${v.address()}`,
  `hex ${v.pick(['0f0b', 'cc', '50', '9c', 'cd80', 'f4', '0f05', 'c3', '6a00', 'cf', '48cb', 'c9'])}`,
]

/** Xen writes where the guest says: into tables, code, the stack, what is not mapped. */
const runstate: Recipe = (v) => {
  const at = v.once(2)
    ? v.address()
    : v.pick(['code+64', 'l1+8', 'stack+4000', 'store+2048', `${v.page()}+4090`])
  return [
    ...withList(v, [at], (where) => `call ${H.vcpu_op} ${VCPUOP.register_runstate_memory_area} 0 ${where}`),
    ...(v.once(2) ? timer(v) : []),
  ]
}

export const RECIPES: Readonly<Record<string, Recipe>> = {
  mmuUpdate,
  updateVa,
  mmuext,
  tableStores,
  endless,
  largePages,
  makeTable,
  newRoot,
  userMode,
  reservation,
  exchange,
  memoryQuestion,
  descriptors,
  segments,
  eventChannel,
  sharedInfo,
  vcpuInfo,
  vcpuOperation,
  timer,
  schedule,
  xenstore,
  console,
  ringAsTable,
  callbacks,
  traps,
  grants,
  multicall,
  small,
  platform,
  anyCall,
  stores,
  strings,
  instructions,
  cpuidLeaf,
  control,
  bytes,
  msr,
  flags,
  floats,
  ownCode,
  alias,
  badStack,
  runstate,
}
