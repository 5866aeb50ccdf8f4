import { HYPERCALL } from '../../src/xen/abi.ts'
import type { Random } from '../../test/tools/random.ts'
import { RECIPES } from './recipes.ts'
import { STATEMENT_NAMES } from './statements.ts'
import { Values } from './values.ts'

/** A random program: handlers, and behind them what some recipes give. */
export function randomProgram(random: Random): string {
  const v = new Values(random)
  const lines: string[] = []
  const xen = v.pick(['4.17', '4.17', '4.17', '4.17', 'seed', '4.17-release'])
  if (xen !== '4.17') lines.push(`xen ${xen}`)
  if (v.once(4)) lines.push(`slice ${v.pick([1, 2, 3, 7, 50, 333])}`)
  for (const vector of VECTORS) {
    if (!v.once(10))
      lines.push(`trap ${vector} ${v.once(16) ? 'back' : 'resume'} ${v.pick([0, 0, 0, 3, 4, 7])}`)
  }
  for (const type of [0, 1, 2]) {
    if (!v.once(4)) lines.push(`callback ${type} ${v.pick(['resume', 'return'])} ${v.upTo(2)}`)
  }
  if (v.once(6)) lines.push('traced 1')
  if (v.once(5)) lines.push(`slice ${v.pick([1, 5, 20])}`, `snapshot ${v.pick([1, 50, 150, 300, 600])}`)
  if (!v.once(3)) lines.push(`call ${HYPERCALL.vm_assist} 0 2`)
  if (v.once(6)) lines.push(`type ${v.pick(['hello', 'x'.repeat(40), 'y'.repeat(3000), ''])}`)
  const count = v.pick([2, 4, 8, 16, 32])
  const names = Object.keys(RECIPES)
  // A few kinds of things a program, so that they meet.
  const chosen = Array.from({ length: v.pick([1, 2, 3, 5, 8]) }, () => v.pick(names))
  let label = 0
  for (let i = 0; i < count; i++) {
    if (v.once(12)) lines.push(`l${label++}:`)
    const recipe = v.once(3) ? v.pick(names) : v.pick(chosen)
    for (const line of RECIPES[recipe](v)) lines.push(varied(v, line))
    if (label > 0 && v.once(16)) {
      const counter = v.room(1)
      lines.push(`data ${counter} ${v.upTo(4)}`, `loop @l${v.upTo(label)} ${counter}`)
    }
  }
  return `${lines.join('\n')}\n`
}

const VECTORS = [0, 1, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 19]
const CALLS = Object.values(HYPERCALL)

/** Now and then one operand of a statement is something else, or the statement is left out or done twice. */
function varied(v: Values, line: string): string {
  if (!v.once(24)) return line
  const words = line.split(' ')
  const [name] = words
  // Machine code is not changed so, and neither is what holds for the whole program.
  if (name === 'hex' || !(name === 'data' || STATEMENT_NAMES.includes(name))) return line
  switch (v.upTo(6)) {
    case 0:
      return '# left out'
    case 1:
      return `${line}\n${line}`
    case 2:
      if (name === 'call') return ['call', v.pick(CALLS), ...words.slice(2)].join(' ')
      return line
    default:
      if (words.length < 2 || name === 'seg' || (name === 'mov' && words.length < 3)) return line
      words[name === 'mov' ? 2 : 1 + v.upTo(words.length - 1)] = v.any()
      return words.join(' ')
  }
}
