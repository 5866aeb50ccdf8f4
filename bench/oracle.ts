import { bootXen } from '../oracle/boot.ts'
import { judge } from '../oracle/judge.ts'
import { findTools } from '../oracle/tools.ts'
import { runScript } from '../src/run/script/script.ts'
import { RANDOM_PROFILES, randomScript } from '../src/script/random-script.ts'
import { median, timed } from './measure.ts'

/** Random scripts on the machine and on real Xen under emulation, in turns. */
export const name = 'oracle'
export const about =
  'operations a second on the machine, beside real Xen under QEMU on the same scripts; a minute'

const OPS = 2000
const SCRIPTS = 7

/**
 * Of each script the time from its first operation to its end is taken, on real Xen from the console. There it holds
 * what the probe prints; here the whole of `runScript`: reading the text, building the machine, the transcript. Both
 * show the words of all pages after every operation.
 */
export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  const tools = findTools()
  const [ours, xens, ratios]: number[][] = [[], [], []]
  let operations = 0
  for (let seed = 1; seed <= SCRIPTS; seed++) {
    const script = randomScript(seed, { ops: OPS, profile: RANDOM_PROFILES[seed % RANDOM_PROFILES.length] })
    // A first run of both says that they do the same.
    const { recording, differences } = await judge(tools, script, { domain: 'dom0' })
    if (differences.length > 0) report(`seed ${seed}: ${differences.length} operations differ`)
    const ops = recording.lines.length
    const options = { xen: '4.17-release', frames: recording }
    const text = recording.lines.map((line) => line.op).join('\n')
    const ourMs = median(timed(() => void runScript(text, options), 3, 3))
    const { scriptMs, totalMs } = await bootXen(tools, script, { domain: 'dom0' })
    const xenMs = totalMs - scriptMs
    report(`seed ${seed}: ${ops} operations, ours ${ourMs.toFixed(0)} ms, Xen's ${xenMs.toFixed(0)} ms`)
    ours.push((ops / ourMs) * 1000)
    xens.push((ops / xenMs) * 1000)
    ratios.push(xenMs / ourMs)
    operations += ops
  }
  return {
    ours_ops_per_s: Math.round(median(ours)),
    xen_ops_per_s: Math.round(median(xens)),
    ours_over_xen_ratio: Math.round(median(ratios) * 10) / 10,
    operations,
  }
}
