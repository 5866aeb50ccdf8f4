import { hostileMachine } from '../../src/run/check/hostile.ts'
import { checkCounts } from '../guest/machine.ts'
import { inputText, type Target, textInput } from '../target.ts'

const PROFILES = ['4.17', 'seed', '4.17-release']
const MOST_CALLS = 100_000

/** Hypercalls without code: PROFILE DOMAIN SEED CALLS, a line a machine. */
export const hypercalls: Target = {
  name: 'hypercalls',
  group: 'hypercalls',
  about: 'random hypercalls with random arguments, in registers and memory, made by no code',
  cut: 'lines',
  seeds: () => [textInput('4.17 dom0 1 100'), textInput('seed domU 2 100')],
  make(random) {
    const [profile, domain] = [random.pick(PROFILES), random.pick(['dom0', 'domU'])]
    return textInput(`${profile} ${domain} ${random.bits()} ${random.pick([50, 500, 3000])}`)
  },
  run(input) {
    let outcome = ''
    for (const line of inputText(input).split('\n')) {
      const [profile, domain = 'dom0', seed = '0', calls = '1'] = line.split(' ')
      if (line.trim() === '') continue
      const machine = hostileMachine(profile, domain === 'domU' ? 'domU' : 'dom0', Number(seed) || 0)
      for (let n = Math.min(MOST_CALLS, Number(calls) || 0); n > 0; n--) machine.call()
      checkCounts(machine)
      outcome += `${[...machine.calls.values()].length} `
    }
    return outcome
  },
}
