import { MMUEXT } from '../../../src/xen/abi.ts'
import { extended } from './page-tables.ts'
import { H, type Recipe, some, withList } from './recipe.ts'

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

export const descriptors: Recipe = (v) => {
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

export const segments: Recipe = (v) => {
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
