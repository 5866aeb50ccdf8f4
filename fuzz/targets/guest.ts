import { randomProgram } from '../guest/grammar.ts'
import { bootProgram, checkSnapshot, runProgram } from '../guest/machine.ts'
import { inputText, type Target, textInput } from '../target.ts'

const HELLO = `# What a plain kernel does: a table, a timer, a word to the console.
trap 14 resume 0
callback 0 return 0
put64 p1 p2.ma+0x61
call 14 p1 p1.ma+0x61 2
data d 0 p1.mfn 0
call 26 d 1 0 0x7ff0
put64 p1+8 p3.ma+0x67
put64 console+2048 0x0a6968
put32 console+3084 3
data d+64 2
call 32 4 d+64
data d+128 0
call 32 1 d+128
call 15 1000000
call 29 1
`

/** Code and hypercalls together, in a domU with everything that the toolstack gives it. */
export const guest: Target = {
  name: 'guest',
  group: 'guest',
  about: 'random programs of x86 code and hypercalls; counts and safety are looked at while they run',
  cut: 'lines',
  seeds: () => [textInput(HELLO)],
  make: (random) => textInput(randomProgram(random)),
  run(input) {
    const text = inputText(input)
    const { end, hypercalls, digest } = runProgram(text)
    const mark = digest()
    checkSnapshot(text, mark)
    return `${end} ${hypercalls} ${mark}`
  },
}

/** The same programs, in all that is around a guest when a user boots it. */
export const boot: Target = {
  name: 'boot',
  group: 'guest',
  about: 'the same, as boot --batch --explain runs them: console, explanations, reports, snapshots',
  cut: 'lines',
  seconds: 10,
  seeds: () => [textInput(HELLO)],
  make: (random) => textInput(randomProgram(random)),
  run: (input) => bootProgram(inputText(input)),
}
