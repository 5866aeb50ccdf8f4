import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { BadInput } from '../../src/bits/bad-input.ts'
import { border } from '../../src/explore/sweep/border.ts'
import { readRealSpace } from '../../src/explore/sweep/read-real-space.ts'
import { parseSweepFile, type RawSpace, readSpace } from '../../src/explore/sweep/read-space.ts'
import { type RealSweepSpec, run as runPiece } from '../../src/explore/sweep/real-piece.ts'
import { readResults } from '../../src/explore/sweep/results.ts'
import { loadSweep, saveSweep } from '../../src/explore/sweep/saved-sweep.ts'
import { machineCount } from '../../src/explore/sweep/space.ts'
import { MACHINE_BYTES } from '../../src/run/kernel/kernel-boot.ts'
import { shareFiles } from '../../src/run/kernel/kernel-files.ts'
import { findMap } from '../../src/run/maps/maps.ts'
import { notInFull } from '../tools/sample.ts'
import { kernelOf, MMUEXT_ON_STACK, shutdown, speaking } from '../tools/tiny-kernel.ts'
import { xenolith } from '../tools/tools.ts'

/** Sweeps of real kernels: of a few instructions each, so that a boot takes no time. */
const folder = mkdtempSync(join(tmpdir(), 'xenolith-sweep-kernels-'))
after(() => rmSync(folder, { recursive: true }))

const [POWEROFF, CRASH] = [0, 3]

const file = (name: string, bytes: Uint8Array | string): string => {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

/** Asks for the frame of the page after its code as an L1 table while it is mapped writable, then gives up. */
const PINS = `
        mov rbx, [rsi + 104]
        mov rdi, rsp
        mov rcx, base
        sub rdi, rcx
        shr rdi, 12
        mov rax, [rbx + rdi*8]
        push rax
        push 0
${MMUEXT_ON_STACK}
${shutdown(CRASH)}`

const KERNELS = {
  ready: file('ready', kernelOf(speaking('so far\r\nready to go\r\n', POWEROFF))),
  panics: file('panics', kernelOf(speaking('Kernel panic - not syncing: no root 0x12 on 12345\r\n', CRASH))),
  faults: file('faults', kernelOf('mov rax, 0\nmov [rax], rax')),
  pins: file('pins', kernelOf(PINS)),
  endless: file('endless', kernelOf('again: jmp again')),
} as const
const SMALL = ['--memory', '16M..32M+16M']

const dom0 = file(
  'dom0',
  kernelOf(`
        xor edi, edi
        mov esi, 6
        lea rdx, [rip + message]
        mov eax, console_io
        syscall
${shutdown(POWEROFF)}
message: .byte ${[...Buffer.from('ready\n')].join(', ')}`),
)
const MAPS = 'xen416-qemu-tcg-2gb,dell-vostro-1700-2g'

const sweep = (...words: string[]) => xenolith(['sweep', '--threads', '2', ...words])

const rowsOf = (raw: RawSpace) => {
  const { space, files } = readRealSpace(raw, findMap)
  const spec: RealSweepSpec = { space, files, hostMemory: MACHINE_BYTES }
  return Array.from({ length: machineCount(space) }, (_, piece) => runPiece(spec, piece)[0])
}

test('every end of a real kernel has its outcome, and a signature without the numbers of its machine', () => {
  const { ready, panics, faults, pins, endless } = KERNELS
  const rows = rowsOf({
    kernel: [ready, panics, faults, pins, endless],
    memory: ['16M', '1M'],
    until: 'ready to',
    timeout: '1',
  })
  assert.deepEqual(
    rows.slice(0, 5).map(({ outcome, signature }) => [outcome, signature]),
    [
      ['booted', ''],
      ['crashed', 'crashed: Kernel panic - not syncing: no root N on N'],
      ['fault', 'fault: a store to a page that is not mapped: no entry in L4'],
      ['refused', 'refused: a writable page as an L1 table'],
      ['ended', 'ended: no more time'],
    ],
  )
  assert.match(rows[3].pfn ?? '', /^0x[0-9a-f]+$/)
  assert.match(rows[3].detail ?? '', /^mfn [0-9a-f]+: Xen saw e4[0-9a-f]+ and wanted 2[0-9a-f]+$/)
  for (const row of rows.slice(5)) assert.equal(row.outcome, 'impossible')
  assert.match(rows[5].detail ?? '', /1 MiB of memory are too little/)
  // Without a text, whoever powers off is booted; with another one, it has ended in a way that was not wanted.
  assert.equal(rowsOf({ kernel: [ready], memory: ['16M'] })[0].outcome, 'booted')
  assert.deepEqual(rowsOf({ kernel: [ready], memory: ['16M'], until: 'login:' })[0], {
    n: 0,
    outcome: 'ended',
    signature: 'ended: powered off',
    detail: 'last line: ready to go',
  })
})

test('dom0 boots on the machines of several maps, with its own memory', () => {
  const rows = rowsOf({ kernel: [dom0], dom0: true, map: [MAPS], dom0Mem: ['64M,128M'], until: 'ready' })
  assert.deepEqual(
    rows.map(({ outcome }) => outcome),
    Array(4).fill('booted'),
  )
  const [row] = rowsOf({ kernel: [dom0], dom0: true, map: ['xen41-amdvision-truncated'], until: 'ready' })
  assert.equal(row.outcome, 'impossible')
  assert.match(row.detail ?? '', /has no room for Xen/)
})

test('a command of a report boots the same machine', () => {
  const report = sweep('--kernel', KERNELS.pins, '--memory', '16M', '--append', 'a b', '--json')
  assert.equal(report.status, 0, report.stderr)
  const { groups, totals } = JSON.parse(report.stdout)
  assert.deepEqual(totals, { booted: 0, refused: 1, fault: 0, crashed: 0, ended: 0, impossible: 0 })
  const { command, pfn } = groups[0].first
  assert.equal(groups[0].smallest, null)
  assert.match(command, /^xenolith boot --kernel \S+ --memory 0x1000p --append 'a b' --timeout 60$/)
  const words = command.replace("'a b'", 'ab').split(' ').slice(1)
  const boot = xenolith([...words, '--explain', '--json'])
  assert.equal(boot.status, 3)
  assert.equal(JSON.parse(boot.stdout).explanations.at(-1).frame.pfn, pfn)
})

test('all formats, whatever the number of threads, and a status for CI', () => {
  const words = ['--kernel', KERNELS.ready, '--kernel', KERNELS.panics, ...SMALL, '--until', 'ready']
  const one = sweep(...words, '--jsonl', '--threads', '1')
  assert.equal(one.stdout, sweep(...words, '--jsonl').stdout)
  assert.equal(one.stdout.trim().split('\n').length, 5)
  const text = sweep(...words)
  assert.match(text.stdout, /^4 machines: 2 booted, 0 refused, 0 fault, 2 crashed, 0 ended, 0 impossible\n/)
  for (const line of text.stdout.split('\n').filter((line) => !line.includes('xenolith boot')))
    assert.ok(line.length <= 80, line)
  if (notInFull === false) {
    assert.match(sweep(...words, '--junit').stdout, /<failure message="2 of 2 fail: crashed: Kernel panic/)
    assert.match(sweep(...words, '--html').stdout, /<th>crashed<\/th>/)
    assert.equal(JSON.parse(sweep(...words, '--sarif').stdout).runs[0].results.length, 1)
  }
  const expected = sweep(...words, '--expect', 'booted')
  assert.equal(expected.status, 1)
  assert.match(expected.stderr, /expected booted, but 2 machines fail/)
})

test('shards, checkpoints and a sweep file hold real kernels, too', () => {
  const spec = file(
    'sweep.json',
    JSON.stringify({ kernel: KERNELS.ready, memory: ['16M..64M+16M'], until: 'ready', timeout: 5 }),
  )
  const whole = join(folder, 'whole.jsonl')
  const ckpt = join(folder, 'ckpt')
  const text = sweep(spec, '--out', whole, '--checkpoint', ckpt)
  assert.equal(text.status, 0, text.stderr)
  const parts = [1, 2].map((i) => {
    const part = join(folder, `${i}.jsonl`)
    assert.equal(sweep(spec, '--shard', `${i}/2`, '--out', part).status, 0)
    return part
  })
  assert.equal(readResults(readFileSync(parts[0], 'utf8').trim().split('\n'), 'part').rows.length, 2)
  assert.equal(sweep('merge', ...parts).stdout, text.stdout)
  const begun = loadSweep(ckpt)
  const { rows } = readResults(readFileSync(whole, 'utf8').trim().split('\n'), whole)
  saveSweep(ckpt, { ...begun, done: 3, rows: rows.slice(0, 3) })
  assert.equal(sweep('--resume', ckpt).stdout, text.stdout)
  assert.throws(() => {
    saveSweep(ckpt, { ...begun, done: 2, rows: rows.slice(0, 3) })
    loadSweep(ckpt)
  }, /it has done more than there is/)
  saveSweep(ckpt, begun)
  // The kernel that it goes on with is the one that it began with.
  const kernel = readFileSync(KERNELS.ready)
  writeFileSync(KERNELS.ready, readFileSync(KERNELS.panics))
  const changed = sweep('--resume', ckpt)
  writeFileSync(KERNELS.ready, kernel)
  assert.equal(changed.status, 2)
  assert.match(
    changed.stderr,
    /^xenolith: \S+ready is not what it was when the sweep began; begin it again\n$/,
  )
})

test('files are unpacked once, and an initrd that is packed twice only where it goes', () => {
  const kernel = { name: 'k', bytes: gzipSync(readFileSync(KERNELS.ready)) }
  const content = Buffer.from('070701 and so on')
  const once = { name: 'r', bytes: gzipSync(content) }
  const shared = shareFiles([kernel], once, false)
  assert.deepEqual(Buffer.from(shared.kernels[0].bytes), readFileSync(KERNELS.ready))
  assert.ok(shared.kernels[0].bytes.buffer instanceof SharedArrayBuffer)
  assert.deepEqual(Buffer.from(shared.ramdisk?.bytes ?? []), content)
  const asItIs = shareFiles([kernel], once, true).ramdisk
  assert.deepEqual(Buffer.from(asItIs?.bytes ?? []), once.bytes)
  assert.equal(asItIs?.sha256, shared.ramdisk?.sha256)
  const twice = { name: 'r', bytes: gzipSync(once.bytes) }
  assert.deepEqual(Buffer.from(shareFiles([kernel], twice, false).ramdisk?.bytes ?? []), twice.bytes)
})

test('what has no meaning for a real kernel is refused in one line', () => {
  const kernel = [KERNELS.ready]
  for (const [raw, line] of [
    [{ kernel, linux: ['B'] }, /--linux is for model kernels, --kernel for a real one/],
    [{ kernel, vEnd: ['32M'] }, /--v-end is for model kernels/],
    [{ kernel, kernelSize: ['32M'] }, /--kernel-size is for model kernels/],
    [{ kernel, with: ['b9269dc7bfdf'] }, /--with is for model kernels/],
    [{ kernel, holes: '148' }, /--holes is for model kernels/],
    [{ kernel, memoryCap: '1G' }, /--memory-cap is for model kernels/],
    [{ kernel, config: 'flatmem' }, /--config is for model kernels/],
    [{ kernel, map: ['none'] }, /--map is for a dom0; give --dom0, too/],
    [{ kernel, dom0Mem: ['1G'] }, /--dom0-mem is for a dom0/],
    [{ kernel, noAcpi: true }, /--no-acpi is for a dom0/],
    [{ kernel, dom0: true, memory: ['1G'] }, /--memory is for guests; give --dom0-mem/],
    [{ kernel, dom0: true, maxmem: '1G' }, /--maxmem is for guests/],
    [{ kernel, dom0: true, noE820: true }, /--no-e820 is for guests/],
    [{ kernel, dom0: true, map: ['none'] }, /a dom0 needs a machine; name a map/],
    [{ kernel, xen: ['9.9'] }, /--xen 9\.9: no such profile/],
    [{ kernel, until: '' }, /--until takes a part of one line/],
    [{ kernel, timeout: 'long' }, /--timeout long is not a whole number/],
    [{ kernel, memory: ['much'] }, /--memory 'much' is not a size/],
    [{ kernel: [] }, /--kernel is empty/],
    [{ kernel: [file('none', 'none')] }, /none: neither an ELF file nor a bzImage/],
    [{ kernel: [join(folder, 'nowhere')] }, /cannot read \S+nowhere: no such file/],
  ] as const satisfies readonly (readonly [RawSpace, RegExp])[]) {
    const isOne = (error: Error) => error instanceof BadInput && !error.message.includes('\n')
    assert.throws(() => readRealSpace(raw, findMap), isOne, JSON.stringify(raw))
    assert.throws(() => readRealSpace(raw, findMap), line)
  }
  for (const raw of [{ until: 'ready' }, { ramdisk: KERNELS.ready }, { dom0Mem: ['1G'] }])
    assert.throws(
      () => readSpace(raw, findMap),
      /^BadInput: --\S+ is for real kernels; give --kernel FILE, too$/,
    )
  for (const [words, line] of [
    [['--seed', '3'], /--seed is for model kernels: a real one has no forecasts/],
    [['--no-forecast'], /--no-forecast is for model kernels/],
    [['--queue', 'nats://host'], /--queue is for model kernels.*--shard/],
  ] as const) {
    const { status, stdout, stderr } = sweep('--kernel', KERNELS.ready, ...words)
    assert.deepEqual([status, stdout], [2, ''])
    assert.match(stderr, /^xenolith: [^\n]+\n$/)
    assert.match(stderr, line)
  }
})

test('results that somebody has written say of real kernels only what can be', () => {
  const { space } = readRealSpace({ kernel: [KERNELS.ready], memory: ['16M'] }, findMap)
  const spec = { space, seed: 1, forecast: false }
  const header = (of: object) =>
    JSON.stringify({
      xenolith: 'sweep',
      schema: 1,
      version: '0',
      machines: 1,
      shard: { index: 1, of: 1 },
      spec: { ...spec, space: of },
    })
  const row = JSON.stringify({ n: 0, outcome: 'crashed', signature: 'crashed' })
  assert.equal(readResults([header(space), row], 'f').rows.length, 1)
  for (const wrong of [
    { ...space, vEnd: [0x200_0000] },
    { ...space, linux: ['a', 'b'] },
    { ...space, maps: ['dell-vostro-1700-2g'] },
    { ...space, common: { domain: 'domU', holes: '148' } },
    { ...space, memoryCap: 4 },
  ])
    assert.throws(() => readResults([header(wrong), row], 'f'), BadInput)
  // Models do not end so, and files of ours are nobody's whom a queue brings.
  const models = readSpace({ map: ['none'], memory: ['1G'] }, findMap)
  assert.throws(() => readResults([header(models), row], 'f'), /is no result of this sweep/)
  assert.equal(border.spec['~standard'].validate({ ...spec, space }) instanceof Promise, false)
  assert.ok('issues' in (border.spec['~standard'].validate({ ...spec, space }) as object))
  assert.deepEqual(parseSweepFile('{"kernel": "k", "no-acpi": true}', 'f'), { kernel: ['k'], noAcpi: true })
})
