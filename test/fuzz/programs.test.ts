import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomProgram } from '../../fuzz/guest/grammar.ts'
import { runProgram } from '../../fuzz/guest/machine.ts'
import { BadInput } from '../../src/bits/bad-input.ts'
import { Random } from '../tools/random.ts'

/** A guest that takes events from now on and says so to nobody: Xen sees it when it comes by. */
const UNMASKED = `callback 0 taken 0
data d+64 1
call 14 p5 shared.ma+0x67 2
put8 p5+1 1
call 32 4 d+64
put64 p5+0 0x1
add64 p6 1
add64 p6 1
add64 p6 1
call 29 0
add64 p6 1
taken:
mov rbx 7
call 6 2 0
`

test('a run comes to the same however it is cut', () => {
  const outcomes = [1, 2, 3, 7, 1000].map((slice) => {
    const { end, machine, digest } = runProgram(`slice ${slice}\n${UNMASKED}`)
    const { cpu } = machine.guest
    // The call behind the three is where the event is taken; the fourth addition is never made.
    assert.equal(end, 'shutdown')
    assert.equal(cpu.register(3), 7)
    return digest()
  })
  assert.deepEqual(new Set(outcomes).size, 1)
})

test('random programs come to the same however they are cut', () => {
  let ended = 0
  for (let seed = 0; seed < 25; seed++) {
    const text = randomProgram(new Random(seed, 'cut')).replace(/^(slice|type) .*\n/gm, '')
    // What is endless would take too long.
    if (/^budget/m.test(text)) continue
    const [whole, cut] = [5000, 1 + (seed % 9)].map((slice) =>
      runProgram(`${text}slice ${slice}\nbudget 800\n`),
    )
    // Where the budget ends a run depends on what counts as an instruction.
    if (whole.end === 'budget' || cut.end === 'budget') continue
    ended++
    assert.equal(cut.end, whole.end, text)
    assert.equal(cut.machine.guest.cpu.instructions, whole.machine.guest.cpu.instructions, text)
  }
  assert.ok(ended > 10, `${ended} programs came to an end`)
})

test('a line that is no statement is told, and a name that nobody has is zero', () => {
  assert.throws(() => runProgram('fly p1 p2\n'), BadInput)
  assert.throws(() => runProgram('put64 p1 2\nmove p1\n'), /no statement: move p1/)
  assert.equal(runProgram('call 6 2 nobody.mfn\n').end, 'shutdown')
})
