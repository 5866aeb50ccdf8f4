import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { GdbClient } from '../gdb/client.ts'
import type { Registers } from '../gdb/packets.ts'
import { endWithProcess } from '../running.ts'
import { CallLog } from './call-log.ts'
import { type MadeCall, structureOf } from './roles.ts'
import { PUSH_BYTES, type SyscallSites } from './sites.ts'

/** What is booted: paths of Xen's image, the kernel's and the initrd's, and what they are told. */
export type Dom0Files = {
  readonly xen: string
  readonly kernel: string
  readonly initrd: string
  readonly append: string
  /** MiB that dom0 gets. */
  readonly dom0MiB: number
}

/** Hypercalls of a kernel up to its first process, and the lines of Xen's console. */
export type Recorded = { readonly calls: readonly MadeCall[]; readonly log: string }

/**
 * A PC of 1 GiB. Its clock counts instructions, so that it stands still while the machine is looked at; with `sleep=off` each stop would
 * move it on to the next timer.
 */
const MACHINE = '-accel tcg -cpu qemu64 -m 1024 -nodefaults -display none -no-reboot -icount shift=0'
const CONNECT_TRIES = 200
const CONNECT_MS = 50
const LIMIT_MS = 1_800_000
const WORD = 8n

/**
 * Boot a kernel as dom0 of real Xen under QEMU and record its hypercalls: QEMU's gdb stub stops the machine before and behind
 * each instruction that makes one.
 */
export async function recordXen(
  files: Dom0Files,
  sites: SyscallSites,
  report: (line: string) => void,
): Promise<Recorded> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'xenolith-calls-'))
  const [socket, serial] = [join(folder, 'gdb'), join(folder, 'serial')]
  const words = [
    ...MACHINE.split(' '),
    ...['-serial', `file:${serial}`, '-gdb', `unix:${socket},server=on,wait=off`, '-S'],
    ...['-kernel', files.xen],
    ...['-append', `console=com1 loglvl=all dom0_mem=${files.dom0MiB}M noreboot=no`],
    ...['-initrd', `${files.kernel} ${files.append},${files.initrd}`],
  ]
  const qemu = spawn('qemu-system-x86_64', words, { stdio: ['ignore', 'ignore', 'inherit'] })
  const stop = (): void => void qemu.kill('SIGKILL')
  const isOver = endWithProcess(stop, folder)
  const timer = globalThis.setTimeout(stop, LIMIT_MS)
  const text = (): string => (existsSync(serial) ? readFileSync(serial, 'latin1') : '')
  try {
    const gdb = await connected(socket)
    const calls = await followed(gdb, sites, report).catch((error: Error) => {
      throw new Error(`${error.message}; real Xen's console ends with: ${text().slice(-1500)}`)
    })
    gdb.close()
    return { calls, log: text() }
  } finally {
    clearTimeout(timer)
    stop()
    isOver()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function connected(socket: string): Promise<GdbClient> {
  for (let tries = 0; ; tries++) {
    try {
      return await GdbClient.connect(socket)
    } catch (error) {
      if (tries === CONNECT_TRIES) throw error
      await setTimeout(CONNECT_MS)
    }
  }
}

async function followed(
  gdb: GdbClient,
  sites: SyscallSites,
  report: (line: string) => void,
): Promise<readonly MadeCall[]> {
  const log = new CallLog()
  await gdb.askForRegisters()
  for (const va of [sites.push, sites.pop, sites.iret]) await gdb.breakAt(va)
  for (await gdb.resume(); ; ) {
    const registers = await gdb.registers()
    if (registers.rip === sites.pop) {
      log.returned(registers.rsp + WORD, Number(BigInt.asIntN(64, registers.rax)))
      await pop(gdb, registers)
      continue
    }
    log.made(registers.rsp, await madeCall(gdb, registers))
    if (log.isOver) return log.calls
    if (log.calls.length % 10_000 === 0) report(`${log.calls.length} hypercalls on real Xen`)
    if (registers.rip === sites.push) await push(gdb, registers)
    else {
      await gdb.step()
      await gdb.resume()
    }
  }
}

async function madeCall(gdb: GdbClient, registers: Registers): Promise<Omit<MadeCall, 'rc'>> {
  const { rax, rdi, rsi, rdx, r10, r8 } = registers
  const nr = Number(BigInt.asUintN(32, rax))
  const args = [rdi, rsi, rdx, r10, r8]
  const structure = structureOf(nr, args)
  const bytes = structure === null ? null : await gdb.memory(structure.va, structure.bytes)
  return { nr, args, bytes }
}

/*
 * A stub stops where it stands if it goes on from a place to stop at, and each stop has QEMU translate anew all that it executes.
 * Instead of one more stop the push and the pop of r11 are carried out from here.
 */

async function push(gdb: GdbClient, { rip, rsp, r11 }: Registers): Promise<void> {
  const bytes = Buffer.alloc(Number(WORD))
  bytes.writeBigUInt64LE(r11)
  await gdb.store(rsp - WORD, bytes)
  await gdb.setRegister('rsp', rsp - WORD)
  await gdb.resume(rip + PUSH_BYTES)
}

async function pop(gdb: GdbClient, { rip, rsp }: Registers): Promise<void> {
  const bytes = await gdb.memory(rsp, Number(WORD))
  if (bytes === null) throw new Error('the kernel has lost its stack')
  await gdb.setRegister('r11', Buffer.from(bytes).readBigUInt64LE())
  await gdb.setRegister('rsp', rsp + WORD)
  await gdb.resume(rip + PUSH_BYTES)
}
