import { loadMap } from '../../src/cli/files.ts'
import { parseSweepFile, readSpace } from '../../src/explore/sweep/read-space.ts'
import { machineAt, machineCount } from '../../src/explore/sweep/space.ts'
import { planBoot } from '../../src/run/boot/boot-plan.ts'
import { mapLines } from '../../src/run/maps/map-text.ts'
import { shippedMaps } from '../../src/run/maps/maps.ts'
import { runScript } from '../../src/run/script/script.ts'
import { randomScript } from '../../src/script/random-script.ts'
import { traceHeader, traceLine } from '../../src/trace/export.ts'
import type { Random } from '../../test/tools/random.ts'
import { kernelOf, speaking } from '../../test/tools/tiny-kernel.ts'
import { bootCommand, command, outcomeOf, ownFile } from '../cli.ts'
import { jsonText, mutateBytes, mutateJson, mutateText } from '../mutate.ts'
import { inputText, type Target, textInput } from '../target.ts'

/** Files that users give, and files of ours that are read back, which may be anybody's by then. */

const GROUP = 'formats'

/** A target whose inputs are texts that a command reads from a file. */
function textTarget(
  target: Pick<Target, 'name' | 'about' | 'seconds'> & {
    texts: () => readonly string[]
    run: (file: string, text: string) => Promise<string>
    ending?: string
  },
): Target {
  const { name, about, seconds, texts, ending = 'txt' } = target
  let known: readonly string[] | null = null
  const all = (): readonly string[] => {
    known ??= texts()
    return known
  }
  return {
    name,
    group: GROUP,
    about,
    cut: 'lines',
    ...(seconds === undefined ? {} : { seconds }),
    seeds: () => all().map(textInput),
    make(random) {
      const text = random.pick(all())
      if (random.once(6)) return mutateBytes(textInput(text), random)
      return textInput(random.once(3) ? mutateLinesOfJson(text, random) : mutateText(text, random))
    },
    run: (input) => target.run(ownFile(`${name}.${ending}`, input), inputText(input)),
  }
}

/** Where a line or the whole is JSON, its values change. */
function mutateLinesOfJson(text: string, random: Random): string {
  const whole = parsed(text)
  if (whole !== undefined) return jsonText(mutateJson(whole, random))
  const lines = text.split('\n')
  for (let n = random.pick([1, 1, 3]); n > 0; n--) {
    const at = random.once(2) ? 0 : random.between(0, lines.length)
    const value = parsed(lines[at])
    lines[at] = value === undefined ? mutateText(lines[at], random) : jsonText(mutateJson(value, random))
  }
  return lines.join('\n')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const run = async (...words: string[]): Promise<string> => outcomeOf(await command(words))

const script = textTarget({
  name: 'script',
  about: 'scripts of hypercalls',
  texts: () => [1, 2, 3].map((seed) => randomScript(seed, { ops: 40, profile: 'mixed' })),
  run: (file) => run('script', '--check', file),
})

const map = textTarget({
  name: 'map',
  about: 'memory maps, as JSON and as boot logs',
  texts: () => {
    const maps = shippedMaps().slice(0, 4)
    const entries = [
      { start: '0x0', end: '0x9fc00', type: 'usable' },
      { start: '0x100000', end: '0x4000000', type: 'usable' },
    ]
    return [...maps.map((one) => mapLines(one).join('\n')), JSON.stringify({ kind: 'host', entries })]
  },
  run: (file) => run('maps', file),
})

const CONFIG = `# a guest
name = "guest"
kernel = 'vmlinuz'
memory = 64
maxmem = 128
vcpus = 1
cmdline = "console=hvc0 quiet"
extra = "debug"
disk = [ 'phy:/dev/vg/guest,xvda,w', "file:/x,xvdb,r", ]
vif = [ 'mac=00:16:3e:00:00:00,bridge=xenbr0' ]
on_crash = "destroy"
`

const xl = textTarget({
  name: 'xl',
  about: "xl's configuration files, and the boot of what they name",
  texts: () => {
    ownFile('vmlinuz', kernelOf(speaking('hello\n', 0)))
    return [
      CONFIG,
      "kernel = 'vmlinuz'\nmemory = 8\n",
      'kernel = """a\nb"""\nmemory=0x40\n',
      '{"c_info": {}}',
    ]
  },
  ending: 'cfg',
  seconds: 10,
  run: async (file) => outcomeOf(bootCommand({ config: file, timeout: '1' })),
})

/** A script's run as a trace. */
function tracedScript(seed: number): string {
  const text = randomScript(seed, { ops: 12, profile: 'mixed' })
  const lines = [traceHeader({ script: { text } })]
  runScript(text, { sink: (event) => void lines.push(traceLine(event)) })
  return lines.join('\n')
}

const trace = textTarget({
  name: 'trace',
  about: 'traces, which a replay runs again',
  texts: () => [tracedScript(1), tracedScript(2), traceHeader({ boot: { memory: 0x4000, domain: 'domU' } })],
  seconds: 15,
  run: (file) => run('replay', file),
})

const space = textTarget({
  name: 'space',
  about: 'sweep files: the machines of a sweep',
  texts: () => [
    JSON.stringify({ linux: 'B,C', map: 'toshiba-tosqci-amd-8g', memory: '1G,2G', 'v-end': '32M..40M+4M' }),
    JSON.stringify({ linux: ['B'], 'kernel-size': '32M', append: ['', 'mem=1G'], xen: '4.17', dom0: true }),
  ],
  ending: 'json',
  run: async (file, text) => {
    const space = readSpace(parseSweepFile(text, file), loadMap)
    const machines = machineCount(space)
    for (const n of [0, machines - 1]) planBoot(machineAt(space, n))
    return `${machines} machines`
  },
})

/** What a recording of another run says of its frames: a script runs with the same ones. */
const RECORDED = (): string => {
  const { header, lines } = runScript('page A B\nset A[0] = B|P|US\npin1 A\n')
  return [header, ...lines].map((line) => JSON.stringify(line)).join('\n')
}

const recording = textTarget({
  name: 'recording',
  about: "recordings of a script's run, whose frames another takes",
  texts: () => [RECORDED()],
  ending: 'jsonl',
  run: (file) => run('script', ownFile('recorded.txt', 'page A B\npin1 A\n'), '--frames', file),
})

export const FORMATS: readonly Target[] = [script, map, xl, trace, space, recording]
