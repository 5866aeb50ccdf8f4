import { VCPUOP } from '../../../src/xen/abi.ts'
import { STORES } from '../statements.ts'
import { timer } from './events.ts'
import { H, type Recipe, some, withList } from './recipe.ts'

export const stores: Recipe = (v) =>
  some(v, 4, () => `${v.pick(STORES)} ${v.address()} ${v.once(2) ? v.entry() : v.any()}`)

export const strings: Recipe = (v) => {
  const count = v.pick(['1', '8', '512', '513', '1024', v.once(4) ? v.odd() : '64'])
  const name = v.pick(['copy', 'fill', 'fillb'])
  return v.once(6)
    ? ['hex fd', `${name} ${v.address()} ${v.address()} ${count}`, 'hex fc']
    : [`${name} ${v.address()} ${name === 'copy' ? v.address() : v.any()} ${count}`]
}

export const cpuidLeaf: Recipe = (v) => [
  `cpuid ${v.once(2) ? `0x4000000${v.upTo(8)}` : v.pick(['0', '1', '7', '0xd', '0x80000001', '0x80000008', v.odd()])} ${v.upTo(3)}`,
]

/** Control registers as a kernel uses them, and as none does. */
export const control: Recipe = (v) => {
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

export const instructions: Recipe = (v) => {
  const lines: string[] = []
  for (const register of ['rax', 'rcx', 'rdx', 'rbx', 'rsi', 'rdi'])
    if (v.once(3)) lines.push(`mov ${register} ${v.any()}`)
  for (let i = 1 + v.upTo(3); i > 0; i--) lines.push(`hex ${v.pick(PRIVILEGED)}`)
  return lines
}

export const bytes: Recipe = (v) =>
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

export const msr: Recipe = (v) => {
  const number = v.once(6) ? v.odd() : v.pick(MSRS)
  if (number === '0x40000000') return [`wrmsr ${number} ${v.once(4) ? v.any() : `${v.frame()}.ma`}`]
  return [v.once(2) ? `rdmsr ${number}` : `wrmsr ${number} ${v.once(2) ? v.address() : v.odd()}`]
}

export const flags: Recipe = (v) => [
  `flags ${v.pick(['0x102', '0x302', '0x4002', '0x40002', '0x10002', '0x402', '0x200000', '0x3002', '0x2', v.odd()])}`,
  ...(v.once(2) ? ['hex 90'] : []),
]

export const floats: Recipe = (v) => {
  const at = v.once(3) ? v.address() : `${v.page()}+${v.upTo(200) * 16}`
  return [
    `${v.pick(['fxsave', 'fxrstor', 'fnstenv', 'fnsave', 'ldmxcsr', 'stmxcsr', 'put128'])} ${at} ${v.odd()}`,
    `hex ${v.pick(['d9e8', 'd8c1', '0f58c1', 'dbe3', 'd9fa', '9b', '0f77', 'd9f2', 'f30f2cc0'])}`,
  ]
}

/** Code in a page, across the end of a page, or over the running code, and a jump there. */
export const ownCode: Recipe = (v) => {
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
export const alias: Recipe = (v) => {
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
export const badStack: Recipe = (v) => [
  `stack ${v.address()}`,
  `hex ${v.pick(['0f0b', 'cc', '50', '9c', 'cd80', 'f4', '0f05', 'c3', '6a00', 'cf', '48cb', 'c9'])}`,
]

/** Xen writes where the guest says: into tables, code, the stack, what is not mapped. */
export const runstate: Recipe = (v) => {
  const at = v.once(2)
    ? v.address()
    : v.pick(['code+64', 'l1+8', 'stack+4000', 'store+2048', `${v.page()}+4090`])
  return [
    ...withList(v, [at], (where) => `call ${H.vcpu_op} ${VCPUOP.register_runstate_memory_area} 0 ${where}`),
    ...(v.once(2) ? timer(v) : []),
  ]
}
