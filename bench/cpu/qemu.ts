import { spawn, spawnSync } from 'node:child_process'
import { LOOPS } from './loops.ts'

const QEMU = 'qemu-system-x86_64'
const WORDS =
  '-accel tcg -machine microvm,isa-serial=off -cpu qemu64 -m 64 -nodefaults -no-user-config -display none -no-reboot ' +
  '-debugcon stdio -device isa-debug-exit,iobase=0xf4,iosize=1'
/** `S` and the checksum of each loop. */
const LINE = 18

export type QemuLoop = { readonly milliseconds: number; readonly checksum: string }

/** QEMU's version, or null when it is not installed. */
export function qemuVersion(): string | null {
  const { status, stdout } = spawnSync(QEMU, ['--version'], { encoding: 'utf8' })
  return status === 0 ? (/version (\S+)/.exec(stdout)?.[1] ?? 'unknown') : null
}

/** Run the image under QEMU's translator, all loops in turn. The guest says when a loop starts and ends. */
export async function runUnderQemu(elf: string): Promise<QemuLoop[]> {
  const child = spawn(QEMU, [...WORDS.split(' '), '-kernel', elf], { stdio: ['ignore', 'pipe', 'inherit'] })
  const times: number[] = []
  let text = ''
  child.stdout.setEncoding('latin1').on('data', (part: string) => {
    // One time stamp for each character: the first of a line is when a loop starts, the next when it has ended.
    const now = performance.now()
    for (const _ of part) times.push(now)
    text += part
  })
  await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  return LOOPS.map(({ key }, i) => {
    const start = i * LINE
    const checksum = text.slice(start + 1, start + LINE - 1)
    if (!/^[0-9a-f]{16}$/.test(checksum)) throw new Error(`QEMU did not finish ${key}: ${text}`)
    return { milliseconds: times[start + 1] - times[start], checksum }
  })
}
