import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { junitReport } from '../../../src/cli/junit.ts'
import { hostMemory } from '../../../src/cli/verbs/boot/host-memory.ts'
import { kernelSpec } from '../../../src/cli/verbs/boot/kernel-spec.ts'
import { bootKernel, KernelRun } from '../../../src/run/kernel/kernel-boot.ts'
import { StopFlag } from '../../../src/run/kernel/stop.ts'
import { bzImage, delay, kernelOf, MMUEXT_ON_STACK, speaking } from '../../tools/tiny-kernel.ts'
import { needs, root, xenolith } from '../../tools/tools.ts'
import { windowKernel } from '../../tools/window-kernel.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-kernels-'))
after(() => rmSync(folder, { recursive: true }))
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** Waits for events that do not come. */
const BLOCKING = `
again:  mov edi, 1              ; SCHEDOP_block
        xor esi, esi
        mov eax, sched_op
        syscall
        jmp again`

const kernel = (reason: number): Buffer => kernelOf(speaking('Hello\r\nfrom a <guest>\n', reason))
const good = file('good', kernel(0))

test('a kernel speaks and powers off', () => {
  const { status, stdout, stderr } = xenolith(['boot', '--kernel', good, '--memory', '16M', '--name', 'tiny'])
  assert.equal(stdout, 'Hello\nfrom a <guest>\n')
  assert.match(stderr, /^xenolith: tiny powered off, after 0\.\d+ s of its time, \d+ instructions\n$/)
  assert.equal(status, 0)
})

for (const [reason, status, word] of [
  [1, 1, 'rebooted'],
  [2, 6, 'was suspended'],
  [3, 3, 'crashed'],
  [4, 4, 'was stopped by its watchdog'],
  [5, 5, 'was reset'],
] as const) {
  test(`the reason ${reason} is the status ${status}`, () => {
    const run = xenolith(['boot', '--kernel', file(`r${reason}`, kernel(reason)), '--memory', '16M'])
    assert.equal(run.status, status)
    assert.match(run.stderr, new RegExp(word))
  })
}

test('what Xen says of a guest that faults, and with --explain where it was', () => {
  const fault = file('fault', kernelOf('mov rax, [0x1000]'))
  const map = file('System.map', 'ffffffff80100000 T startup\nffffffff80100008 T next\n')
  const words = ['boot', '--kernel', fault, '--memory', '16M', '--explain', '--system-map', map]
  const { status, stdout } = xenolith(words)
  assert.equal(status, 3)
  assert.match(stdout, /^\(XEN\) d1v0 Unhandled: vec 14, #PF\[0000\]$/m)
  assert.match(stdout, /^\(XEN\) Pagetable walk from 0000000000001000:$/m)
  assert.match(stdout, /^WHERE THE GUEST DIED$/m)
  assert.match(stdout, /^ {4}ffffffff80100000 startup\+0x0\/0x8$/m)
})

/** Pins its boot stack, which is mapped writable, as an L1, and powers off. */
const pinning = kernelOf(`
        mov rax, [rsi + 0x68]         ; the list of frames
        mov rbx, rsp
        mov rcx, base
        sub rbx, 8                    ; the page below the top of the stack
        sub rbx, rcx
        shr rbx, 12
        push qword [rax + rbx*8]
        push 0                        ; MMUEXT_PIN_L1_TABLE
${MMUEXT_ON_STACK}
        push 0
        mov edi, 2                    ; SCHEDOP_shutdown
        mov rsi, rsp
        mov eax, sched_op
        syscall
stay:   jmp stay`)

test('a refused request is explained: the frame, its holder, the calls', () => {
  const result = bootKernel({ kernel: { name: 'k', bytes: pinning }, memory: 4096, explain: true })
  assert.equal(result.outcome, 'poweroff', result.console.join('\n'))
  assert.equal(result.explanations.length, 1)
  const [{ kind, frame }] = result.explanations
  assert.equal(kind, 'refused')
  assert.equal(frame?.type, 'writable')
  assert.match(frame?.saw ?? '', /^e4/)
  assert.ok(frame?.holders.some((holder) => /^L1 at .*RW/.test(holder)))
  assert.ok(result.console.some((line) => line.includes('Bad type')))
})

test('who, why, traces and replays are about real kernels, too', () => {
  const kernelFile = file('pinning', pinning)
  const trace = join(folder, 'pinning.jsonl')
  const words = ['--kernel', kernelFile, '--memory', '16M']
  const run = xenolith(['boot', ...words, '--trace', trace])
  assert.equal(run.status, 0)
  const events = readFileSync(trace, 'utf8').trimEnd().split('\n').slice(1)
  assert.ok(
    events.some((line) => /"name":"mmuext_op"/.test(line)),
    events.join('\n'),
  )
  const why = xenolith(['why', ...words])
  assert.equal(why.status, 0, why.stderr)
  assert.match(why.stdout, /^Refused at event \d+: mmuext_op PIN_L1_TABLE/)
  assert.match(why.stdout, /P\|RW/)
  assert.equal(xenolith(['why', '--trace', trace]).stdout, why.stdout)
  const who = xenolith(['who', 'va:ffffffff80100000', '--trace', trace, '--json'])
  assert.equal(JSON.parse(who.stdout).pfn, '0x100')
  const replayed = xenolith(['replay', trace])
  assert.equal(replayed.stdout, `${events.length} events, all the same\n`)
  writeFileSync(kernelFile, kernel(0))
  const changed = xenolith(['replay', trace])
  assert.equal(changed.status, 2)
  assert.match(changed.stderr, /are not what they were when it was traced/)
})

/** Copies a page to every frame that the guest has, the last ones first. */
const greedy = windowKernel(`mov r13, [r15 + 32]
  next: dec r13
        lea rax, [rbx + r13*8]
        mov rax, [rax]
        mov rdi, data
        mov ecx, 17
        mov [rdi], rcx
        mov [rdi + 8], rax
        mov [rdi + 16], r14
        mov esi, 1
        xor edx, edx
        mov r10d, 0x7ff0
        mov eax, mmuext_op
        syscall
        cmp r13, 0x600
        jnz next`)

test('a guest that touches more than there is ends with its report, the same each time', () => {
  const run = () =>
    bootKernel({ kernel: { name: 'k', bytes: greedy }, memory: 0x4000, hostMemory: 88 * 2 ** 20 })
  const result = run()
  assert.equal(result.outcome, 'host-memory')
  assert.deepEqual(result.console, ['go'])
  assert.deepEqual(run(), result)
  const enough = new KernelRun({ kernel: { name: 'k', bytes: greedy }, memory: 0x4000, timeLimit: 0.1 })
  assert.equal(enough.runToEnd(), 'time-limit')
  const poor = new KernelRun({
    kernel: { name: 'k', bytes: greedy },
    memory: 0x4000,
    hostMemory: 88 * 2 ** 20,
  })
  poor.runToEnd()
  assert.equal(poor.isAlive, false)
})

test('a run that is abandoned inside a hypercall ends with its report, and cannot go on', () => {
  // Pins an empty page as an L1; cpuid is where somebody loses patience.
  const pins = windowKernel(`mov r12, spare
    call frame
    mov rsi, rax
    shl rsi, 12
    or rsi, 0x65
    mov rdi, data
    xor ecx, ecx
    mov [rdi], rcx
    mov [rdi + 8], rax
    mov rdi, r12
    mov edx, 2
    mov eax, update_va_mapping
    syscall
    mov rdi, data
    mov esi, 1
    mov r10d, 0x7ff0
    cpuid
    xor edx, edx
    mov eax, mmuext_op
    syscall`)
  const stop = new StopFlag()
  const run = new KernelRun({ kernel: { name: 'k', bytes: pins }, memory: 4096, timeLimit: 1 }, { stop })
  const { cpu } = run.machine.guest
  const { cpuid } = cpu
  cpu.cpuid = (leaf, subleaf) => {
    stop.stop(1)
    stop.abandon()
    return cpuid(leaf, subleaf)
  }
  assert.equal(run.runToEnd(), 'wall-limit')
  assert.equal(run.isAlive, false)
  assert.equal(run.result().outcome, 'wall-limit')
})

test('a guest that may touch more than there is is told of before it starts', () => {
  const big = xenolith(['boot', '--kernel', good, '--memory', '8G'])
  assert.equal(big.status, 0)
  assert.match(
    big.stderr,
    /^xenolith: the guest has 8192 MiB, of which it can use \d+ MiB here; .* status 9\n/,
  )
  const start = performance.now()
  const { status, stderr } = xenolith(['boot', '--kernel', good, '--memory', '1024G'])
  assert.equal(status, 2)
  assert.match(stderr, /the notes on the guest's frames alone take 8192 MiB/)
  assert.ok(performance.now() - start < 20_000)
  assert.equal(hostMemory(2 ** 40), 2 ** 32)
  assert.equal(hostMemory(3 * 2 ** 30), 2.5 * 2 ** 30)
})

test('where the system gives no addresses for a machine, a line says so', { skip: needs('prlimit') }, () => {
  const program = `import { Memory } from '${root}src/machine/memory.ts'
    try { new Memory() } catch (error) { console.error(error.message) }`
  const command = [process.execPath, '--input-type=module', '-e', program]
  const { stderr } = spawnSync('prlimit', [`--as=${5 * 2 ** 30}`, ...command], { encoding: 'utf8' })
  assert.match(stderr, /^the system does not give \d+ MiB of addresses for a machine; see ulimit -v\n$/)
})

test('the same kernel, command line and seed: the same run', () => {
  const run = (seed: number) =>
    bootKernel({ kernel: { name: 'k', bytes: kernel(0) }, memory: 4096, append: 'a', seed })
  assert.deepEqual(run(1), run(1))
  assert.notEqual(run(1).nanoseconds, run(2).nanoseconds)
  assert.equal(run(1).instructions, run(2).instructions)
})

test('a guest that waits for nothing ends; one that goes on for ever ends with its time', () => {
  // sched_op(block)
  const idle = file('idle', kernelOf(BLOCKING))
  const waits = xenolith(['boot', '--kernel', idle, '--memory', '16M'])
  assert.equal(waits.status, 7)
  assert.match(waits.stderr, /waits for input that does not come/)
  const loop = file('loop', kernelOf('stay: jmp stay'))
  const late = xenolith(['boot', '--kernel', loop, '--memory', '16M', '--timeout', '0'])
  assert.equal(late.status, 7)
  assert.match(late.stderr, /had no more time/)
})

test('a snapshot in the middle changes nothing', () => {
  const options = {
    kernel: { name: 'k', bytes: kernelOf(delay(500_000) + speaking('late\n', 1)) },
    memory: 4096,
    append: 'x',
    name: 'looper',
  }
  const straight = bootKernel(options)
  const first = new KernelRun(options)
  assert.equal(first.step(123_457), 'running')
  assert.ok(first.isAlive)
  const bytes = first.snapshot()
  const second = new KernelRun({ restore: { name: 's', bytes } })
  second.step(300_001)
  const third = bootKernel({ restore: { name: 's', bytes: second.snapshot() } })
  const { append, ...rest } = straight
  assert.equal(append, 'x')
  assert.deepEqual({ ...third, append: 'x' }, { ...rest, append })
  // The first one has not noticed.
  first.runToEnd()
  assert.deepEqual(first.result(), straight)
})

test('on a terminal ^] leaves', { skip: needs('script') }, () => {
  const idle = file('waits', kernelOf(BLOCKING))
  const command = `${process.execPath} ${root}bin/xenolith.js boot --kernel ${idle} --memory 16M`
  const { status, stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    input: '\x1d',
    encoding: 'utf8',
    timeout: 30_000,
  })
  assert.match(stdout, /xenolith: \^\] leaves/)
  assert.match(stdout, /xenolith: guest was left/)
  assert.equal(status, 130)
})

test('snapshots on the command line, and what is none', () => {
  const snapshot = join(folder, 'machine.snap')
  const loop = file('looping', kernelOf('stay: jmp stay'))
  const made = xenolith([
    'boot',
    '--kernel',
    loop,
    '--memory',
    '16M',
    '--timeout',
    '0',
    '--snapshot',
    snapshot,
  ])
  assert.equal(made.status, 7)
  assert.equal(xenolith(['boot', '--restore', snapshot, '--timeout', '0']).status, 7)
  const dead = xenolith([
    'boot',
    '--kernel',
    good,
    '--memory',
    '16M',
    '--snapshot',
    join(folder, 'none.snap'),
  ])
  assert.equal(dead.status, 0)
  assert.match(dead.stderr, /none\.snap: not written, as there is nothing to go on with/)
  const wrong = (words: readonly string[], message: RegExp): void => {
    const { status, stderr } = xenolith(['boot', ...words])
    assert.equal(status, 2)
    assert.match(stderr, message)
  }
  wrong(['--restore', good], /no snapshot of this version/)
  const whole = readFileSync(snapshot)
  wrong(['--restore', file('cut.snap', whole.subarray(0, 5000))], /cut off or damaged/)
  const damaged = Buffer.from(whole)
  damaged[damaged.length >> 1] ^= 0x55
  wrong(['--restore', file('bad.snap', damaged)], /cut off or damaged/)
  wrong(['--restore', snapshot, '--memory', '1G'], /leave out --memory/)
})

test('JSON is the result; JUnit is a report', () => {
  const report = join(folder, 'report.xml')
  const words = ['boot', '--kernel', file('r3', kernel(3)), '--memory', '16M', '--json', '--junit', report]
  const { status, stdout } = xenolith(words)
  assert.equal(status, 3)
  const result = JSON.parse(stdout)
  assert.equal(result.outcome, 'crash')
  assert.deepEqual(result.console, ['Hello', 'from a <guest>'])
  const xml = readFileSync(report, 'utf8')
  assert.match(xml, /tests="1" failures="1"/)
  assert.match(xml, /<failure message="the guest ended by: crash"\/>/)
  assert.match(xml, /from a &lt;guest&gt;/)
  const odd = junitReport({
    ...result,
    outcome: 'poweroff',
    name: 'a"b',
    console: ['\x1b[0m\x00 & é\u{1f600}\ufffe'],
  })
  assert.match(odd, /name="a&quot;b"/)
  assert.match(odd, /<system-out>\\x00 &amp; é\u{1f600}\\ufffe<\/system-out>/u)
  assert.doesNotMatch(odd, /<failure/)
})

test("xl's configuration, and what is typed counts more", () => {
  const config = file('guest.cfg', `name="a"\nkernel="${good}"\nmemory=16\nvif=['']\n`)
  const { status, stdout, stderr } = xenolith(['boot', config, '--name', 'b', '--json'])
  assert.equal(status, 0)
  assert.match(stderr, /guest\.cfg: of no effect here: vif/)
  assert.equal(JSON.parse(stdout).name, 'b')
  assert.equal(JSON.parse(stdout).memory, '0x1000')
})

test("--config names xl's configuration, too, for every verb; or, by one of a few words, a model's", () => {
  const config = file('same.cfg', `name="a"\nkernel="${good}"\nmemory=16\n`)
  const positional = xenolith(['boot', config, '--json'])
  assert.equal(positional.status, 0)
  assert.equal(xenolith(['boot', '--config', config, '--json']).stdout, positional.stdout)
  const who = xenolith(['who', 'va:ffffffff80100000', '--config', config, '--json'])
  assert.equal(JSON.parse(who.stdout).pfn, '0x100', who.stderr)
  const trace = join(folder, 'config.jsonl')
  assert.equal(xenolith(['boot', config, '--trace', trace]).status, 0)
  assert.match(xenolith(['replay', trace]).stdout, /all the same/)
  const model = xenolith([
    'boot',
    '--linux',
    'D',
    '--domu',
    '--memory',
    '128M',
    '--config',
    'flatmem',
    '--json',
  ])
  assert.equal(JSON.parse(model.stdout).machine.memoryModel, 'flatmem')
})

test('--maxmem is where the map of a real kernel ends, too, and is in its trace', () => {
  const mapEnd = (words: readonly string[]): number | undefined => {
    const spec = kernelSpec(
      words.length === 0 ? { kernel: good } : { kernel: good, memory: '16M', maxmem: words[0] },
    )
    return new KernelRun(spec).machine.start.domain.memoryMap?.[0].end
  }
  assert.equal(mapEnd([]), 512 << 20)
  assert.equal(mapEnd(['24M']), 24 << 20)
  const trace = join(folder, 'maxmem.jsonl')
  assert.equal(
    xenolith(['boot', '--kernel', good, '--memory', '16M', '--maxmem', '24M', '--trace', trace]).status,
    0,
  )
  assert.match(readFileSync(trace, 'utf8'), /"maxmem":"24M"/)
  assert.match(xenolith(['replay', trace]).stdout, /all the same/)
})

const WRONG: readonly (readonly [words: readonly string[], message: RegExp])[] = [
  [['--kernel', '/no/such'], /cannot read \/no\/such: no such file or folder/],
  [['--kernel', folder], /it is a folder/],
  [['--kernel', file('empty', '')], /empty: neither an ELF file nor a bzImage/],
  [['--kernel', file('text', 'some text\n'.repeat(99))], /text: neither an ELF file nor a bzImage/],
  [['--kernel', file('cut', kernel(0).subarray(0, 200))], /cut: cut off in a segment/],
  [
    ['--kernel', file('bad', bzImage(Buffer.from('fd377a585a000001', 'hex'), 99))],
    /packed by xz, cannot be unpacked/,
  ],
  [['--kernel', good, '--memory', '1M'], /1 MiB of memory are too little/],
  [['--kernel', good, '--ramdisk', '/no/such'], /cannot read \/no\/such/],
  [
    ['--kernel', good, '--memory', '16M', '--ramdisk', file('big', Buffer.alloc(17 << 20))],
    /more than the guest's memory/,
  ],
  [['--kernel', good, '--memory', '16M', '--append', 'x'.repeat(1024)], /1024 characters/],
  [[file('less.cfg', `kernel="${good}"\nmemory=32\nmaxmem=16`)], /more than the 4096 that it may have/],
  [['--no-e820'], /--no-e820 is for a domU; a dom0 has its machine's map/],
  [['--kernel', good, '--memory', '32M', '--maxmem', '16M'], /more than the 4096 that it may have/],
  [['--kernel', good, '--config', 'flatmem'], /--config flatmem is for model kernels/],
  [[good, '--config', 'flatmem'], /exclude each other/],
  [['--config', '/no/such.cfg'], /cannot read \/no\/such.cfg/],
  [['--kernel', good, '--linux', 'C'], /--linux is for model kernels/],
  [['--kernel', good, '--expect', 'booted'], /--expect is for model kernels/],
  [['--kernel', good, '--seed', '-1'], /--seed -1 is not a whole number/],
  [['--kernel', good, '--name', 'a b'], /--name a b: a guest's name/],
  [['--kernel', good, '--memory', '16M', '--junit', '/no/such/x'], /cannot write \/no\/such\/x/],
  [['--ramdisk', good], /--ramdisk is for real kernels; give --kernel/],
  [[file('none.cfg', 'name="x"')], /none\.cfg: names no kernel/],
  [['--kernel', good, '--memory', '16T'], /./],
]

for (const [words, message] of WRONG) {
  test(`wrong: ${words.join(' ').replaceAll(folder, '').slice(0, 60)}`, () => {
    const { status, stdout, stderr } = xenolith(['boot', ...words])
    assert.equal(status, 2, stderr)
    assert.match(stderr, message)
    assert.match(stderr.split('\n').at(-2) ?? '', /^xenolith: [^\n]+$/)
    assert.equal(stdout, '')
  })
}
