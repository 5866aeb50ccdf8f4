import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { bootKernel } from '../../src/run/kernel/kernel-boot.ts'
import { sampled } from '../tools/sample.ts'
import { needs, root, xenolith } from '../tools/tools.ts'
import { windowKernel } from '../tools/window-kernel.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-stopping-'))
after(() => rmSync(folder, { recursive: true }))

/** Fill the window with this in every eight bytes. */
const fill = (value: string): string => `mov r8, ${value}\n mov r9, r8\n call fill\n`
/** The end of a call of a list in the window: as long as can be. */
const LIST = `mov rdi, list
  mov esi, 0x7fffffff
  xor edx, edx
  mov r10d, 0x7ff0\n`

/** Guests that ask Xen for work without an end, or do nothing that it would see. */
const GUESTS = {
  loop: '',
  updates: `mov r8, r14
    shl r8, 12
    or r8, 1
    mov r9d, 5
    call fill
    ${LIST}
    mov eax, mmu_update
    syscall`,
  // A list of flushes in a multicall.
  inner: `${fill('0x600000006')}
    mov rdi, spare
    mov eax, mmuext_op
    mov [rdi], rax
    mov rax, list
    mov [rdi + 16], rax
    mov eax, 0x7fffffff
    mov [rdi + 24], rax
    mov eax, 0x7ff0
    mov [rdi + 40], rax
    mov esi, 1
    mov eax, multicall
    syscall`,
  text: `${fill('0x0a41414141414141')}
    xor edi, edi
    mov esi, 0xffffffff
    mov rdx, list
    mov eax, console_io
    syscall`,
  // A handler of page faults that faults itself, on a stack without an end: not one instruction is executed.
  faults: `mov rdi, spare
    mov eax, 0xe033000e
    mov [rdi], rax
    xor eax, eax
    mov [rdi + 8], rax
    mov eax, 0x1000
    mov [rdi + 8], rax
    mov eax, set_trap_table
    syscall
    mov rsp, list
    mov eax, 0x7fffffff
    shl rax, 8
    add rsp, rax
    mov rax, [0x1000]`,
}
type Guest = keyof typeof GUESTS

const file = (guest: Guest): string => {
  const path = join(folder, guest)
  if (!existsSync(path)) writeFileSync(path, windowKernel(GUESTS[guest]))
  return path
}
const words = (guest: Guest): string[] => [
  'boot',
  '--kernel',
  file(guest),
  '--memory',
  '16M',
  ...(guest === 'text' ? ['--xen', 'seed', '--console-limit', '1000G'] : []),
]

/** Where it takes a second, a busy machine may take a few. */
const SOON_MS = 4000
const NEVER_MS = 30_000

type End = { status: number | null; signal: string | null; ms: number; stderr: string }

/** Start a guest; when `go` is on its console, do something, and say how it ended and how long after. */
async function whenRunning(
  command: readonly string[],
  act: (child: ChildProcess) => void,
  isRead = true,
): Promise<End> {
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], timeout: NEVER_MS })
  let stderr = ''
  child.stderr.on('data', (text: Buffer) => {
    stderr += text
  })
  const ended = new Promise<[number | null, string | null]>((resolve) =>
    child.on('exit', (status, signal) => resolve([status, signal])),
  )
  await new Promise<void>((resolve) => {
    child.stdout.once('data', () => {
      if (!isRead) child.stdout.pause()
      resolve()
    })
    child.on('exit', () => resolve())
  })
  if (isRead) child.stdout.resume()
  const start = performance.now()
  act(child)
  const [status, signal] = await ended
  const ms = performance.now() - start
  // The last of what it said may come after its end.
  await new Promise((resolve) => setTimeout(resolve, 50))
  return { status, signal, ms, stderr }
}

const node = [process.execPath, `${root}bin/xenolith.js`]

for (const guest of sampled(Object.keys(GUESTS) as Guest[], 3)) {
  test(`${guest}: SIGTERM ends it with its report`, async () => {
    const end = await whenRunning([...node, ...words(guest)], (child) => child.kill('SIGTERM'))
    assert.equal(end.signal, 'SIGTERM', end.stderr)
    assert.ok(end.ms < SOON_MS, `${end.ms} ms`)
    assert.match(end.stderr, /^xenolith: guest was left, after [\d.]+ s of its time, \d+ instructions$/m)
  })
}

test('--wall ends any guest, and scripts and models', () => {
  const { status, stderr } = xenolith([...words('updates'), '--wall', '2'])
  assert.equal(status, 7)
  assert.match(stderr, /^xenolith: guest had no more of our time, after /m)
  const json = xenolith([...words('inner'), '--wall', '3', '--json'])
  assert.equal(json.status, 7)
  assert.equal(JSON.parse(json.stdout).outcome, 'wall-limit')
  const script = join(folder, 'script.txt')
  writeFileSync(script, 'page A\npin1 A\n')
  const late = xenolith(['script', script, '--wall', '0'])
  assert.equal(late.stderr, 'xenolith: ended by --wall, after 0 s\n')
  assert.equal(late.status, 7)
  const [bare, limited] = [xenolith(['script', script]), xenolith(['script', script, '--wall', '60'])]
  assert.deepEqual(limited, bare)
  assert.equal(xenolith(['boot', '--wall', '0']).status, 7)
  const wrong = xenolith(['boot', '--wall', 'soon'])
  assert.equal(wrong.status, 2)
  assert.match(wrong.stderr, /^xenolith: --wall soon is not a whole number of seconds/)
})

test('--timeout is kept inside a hypercall', () => {
  const { status, stderr } = xenolith([...words('updates'), '--timeout', '1'])
  assert.equal(status, 7)
  assert.match(stderr, /^xenolith: guest had no more time, after 1\.0\d+ s/m)
})

for (const guest of ['updates', 'inner', 'faults'] as const) {
  test(`${guest}: the guest's time passes with the work of Xen, the same each time`, () => {
    const kernel = { name: guest, bytes: windowKernel(GUESTS[guest]) }
    const run = () => bootKernel({ kernel, memory: 4096, timeLimit: 0.01 })
    const first = run()
    assert.equal(first.outcome, 'time-limit')
    assert.ok(first.instructions < 100_000)
    assert.deepEqual(run(), first)
  })
}

test('a guest whose output nobody takes ends all the same', async () => {
  const end = await whenRunning([...node, ...words('text')], (child) => child.kill('SIGTERM'), false)
  assert.equal(end.signal, 'SIGTERM')
  assert.ok(end.ms < SOON_MS, `${end.ms} ms`)
})

test('a reader that has seen enough ends the guest', { skip: needs('sh') }, async () => {
  const command = [...node, ...words('text')].map((word) => `'${word}'`).join(' ')
  const child = spawn('sh', ['-c', `${command} | head -n 1`], { stdio: 'ignore', timeout: NEVER_MS })
  const [status] = await new Promise<[number | null]>((resolve) =>
    child.on('exit', (code) => resolve([code])),
  )
  assert.equal(status, 0)
})

test('on a terminal ^] and signals act inside a hypercall', { skip: needs('script') }, async () => {
  const command = [...node, ...words('updates')].join(' ')
  const child = spawn('script', ['-qec', command, '/dev/null'], { timeout: NEVER_MS })
  let text = ''
  let start = 0
  child.stdout.on('data', (part: Buffer) => {
    text += part
    if (start === 0 && /go/.test(text)) {
      start = performance.now()
      child.stdin.write('\x1d')
    }
  })
  const status = await new Promise((resolve) => child.on('exit', resolve))
  assert.ok(performance.now() - start < SOON_MS)
  assert.match(text, /xenolith: guest was left/)
  assert.equal(status, 130)
})
