import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CODE, DATA, RBX, RSP, SmallMachine } from './small-machine.ts'

const [STACK_FAULT, GENERAL_PROTECTION] = [12, 13]
const RBP = 5
/** The high half of an address that is in neither half of them all. */
const NOWHERE = 0x0100_0000

/** The exception of one instruction, whose rbx, rsp and rbp point nowhere; at an offset of the code. */
function vectorOf(hex: string, offset = 0): number {
  const m = new SmallMachine()
  for (const register of [RBX, RSP, RBP]) m.cpu.setRegister(register, DATA, NOWHERE)
  m.code(hex, offset)
  const exit = m.run(1)
  assert.equal(exit.reason, 'exception')
  return exit.reason === 'exception' ? exit.vector : -1
}

test('an address that is not canonical raises #SS where the stack is meant, else #GP', () => {
  const cases: readonly (readonly [hex: string, vector: number])[] = [
    // push rax; pop rax; call; ret; leave; enter 16, 3; popfq; iretq
    ['50', STACK_FAULT],
    ['58', STACK_FAULT],
    ['e800000000', STACK_FAULT],
    ['c3', STACK_FAULT],
    ['c9', STACK_FAULT],
    ['c8100003', STACK_FAULT],
    ['9d', STACK_FAULT],
    ['48cf', STACK_FAULT],
    // mov eax, [rsp]; mov [rbp], eax; fxsave [rsp]; movaps xmm0, [rbp]
    ['8b0424', STACK_FAULT],
    ['894500', STACK_FAULT],
    ['0fae0424', STACK_FAULT],
    ['0f284500', STACK_FAULT],
    // The same with fs and gs; mov eax, [rbx]; fxsave [rbx]
    ['648b0424', GENERAL_PROTECTION],
    ['65894500', GENERAL_PROTECTION],
    ['8b03', GENERAL_PROTECTION],
    ['0fae03', GENERAL_PROTECTION],
  ]
  for (const [hex, vector] of cases) {
    assert.equal(vectorOf(hex), vector, hex)
    // Across the border of two pages it is the same instruction.
    const bytes = hex.length / 2
    if (bytes > 1) assert.equal(vectorOf(hex, 0x1000 - 1), vector, `${hex} across pages`)
  }
})

test('whoever carries an instruction out finds it, its page and its place there', () => {
  const m = new SmallMachine()
  // Two bytes of nothing, then hlt in the second page.
  m.code('6690 f4', 0x1ffe)
  assert.equal(m.run().reason, 'privileged')
  const { instruction, page, offset } = m.cpu.site()
  assert.deepEqual([instruction.name, page, offset], ['hlt', m.pageOf(2), 0])
  assert.equal(m.cpu.ripLow, CODE + 0x2000)
})
