import { GNTTABOP, MEMORY_OP, MMUEXT } from '../../../src/xen/abi.ts'
import { STORES } from '../statements.ts'
import type { Values } from '../values.ts'
import { H, type Recipe, SELF, some, withList } from './recipe.ts'

const mmuRequest = (v: Values): string[] => {
  const command = v.once(6) ? v.pick([1, 2, 3, 4, 7]) : 0
  if (command === 1)
    return [`${v.mfn().replace('.mfn', '.ma')}+1`, v.once(2) ? v.odd() : String(v.upTo(1200))]
  return [command === 0 ? v.slot() : `${v.slot()}+${command}`, v.entry()]
}

export const mmuUpdate: Recipe = (v) => {
  const requests = some(v, 4, () => mmuRequest(v))
  const count = v.once(12) ? v.any() : String(requests.length)
  const done = v.once(3) ? v.address() : '0'
  return withList(v, requests.flat(), (at) => `call ${H.mmu_update} ${at} ${count} ${done} ${v.domain()}`)
}

export const updateVa: Recipe = (v) => {
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

export const mmuext: Recipe = (v) => {
  const operations = some(v, 3, () => mmuextOperation(v))
  const count = v.once(12) ? v.any() : String(operations.length)
  return withList(
    v,
    operations.flat(),
    (at) => `call ${H.mmuext_op} ${at} ${count} ${v.once(4) ? v.address() : '0'} ${v.domain()}`,
  )
}

/** One operation of mmuext_op on a frame. */
export function extended(v: Values, command: number, frame: string, second = '0'): readonly string[] {
  return withList(v, [String(command), frame, second], (at) => `call ${H.mmuext_op} ${at} 1 0 ${SELF}`)
}

/** Stores to tables in use, where the entries lie: Xen carries them out for a kernel that has asked for it. */
export const tableStores: Recipe = (v) => {
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
export const endless: Recipe = (v) => {
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
export const largePages: Recipe = (v) =>
  withList(
    v,
    [
      `${v.pick(['l2', 'l3', v.page()])}.ma+${v.upTo(8) * 8}`,
      `${v.frame()}.ma+${v.pick(['0xe7', '0x87', '0xc7', '0x1e7'])}`,
    ],
    (at) => `call ${H.mmu_update} ${at} 1 0 ${SELF}`,
  )

/** Entries in a page, the page read-only, a pin, then stores to what is a table now. */
export const makeTable: Recipe = (v) => {
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
export const newRoot: Recipe = (v) => {
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
export const userMode: Recipe = (v) => {
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
