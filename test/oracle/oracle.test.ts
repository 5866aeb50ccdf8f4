import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Booted } from '../../oracle/boot.ts'
import { judge } from '../../oracle/judge.ts'
import { recordingOf } from '../../oracle/recording.ts'
import { shrinkLines } from '../../oracle/shrink.ts'
import { findTools, PACKAGED_XENS } from '../../oracle/tools.ts'
import { agreeWith } from '../../src/run/script/agree.ts'
import { parseRecording, runScript } from '../../src/run/script/script.ts'
import { skipOf } from '../tools/real-xen.ts'
import { root } from '../tools/tools.ts'

const skip = skipOf()

function oracle(...words: string[]) {
  const { NODE_TEST_CONTEXT, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}oracle/main.ts`, ...words], {
    encoding: 'utf8',
    env,
  })
  return { status, stdout, stderr }
}

/** Everything that a script can say about user mode, and what comes after it. */
const USER_MODE = `page A B T U
ro T
pin1 T
multi mmu T[1] = B|P , unpin T , uvm W0 = A|P
set U[511] = KL3|P|RW|US|A|D
ro U
pin4 U
ubaseptr U
autoinfo on
multi mmu T[1] = 0 , iret , pin1 T
multi iret
multi pin1 T , iret
mmu U[511] = KL3|P|US|A
multi mmu T[2] = A|P|US , iret , unpin T
mmu U[511] = 0
multi iret , pin1 A
multi pin1 A , iret , pin1 A
mmu T[3] = B|P dom=5
multi uvm W1 = B|P|US , mmu T[4] = B|P dom=IO
ubaseptr 0
multi mmu T[5] = B|P|US , iret`

for (const domain of ['dom0', 'domU'] as const) {
  for (const xen of PACKAGED_XENS) {
    test(`real Xen ${xen} and the machine agree about multicalls and user mode in a ${domain}`, {
      skip: skipOf(xen),
    }, async () => {
      const { recording, differences } = await judge(findTools(xen), USER_MODE, { domain })
      assert.deepEqual(differences, [])
      assert.ok(recording.header.version?.startsWith(xen), recording.header.version)
      assert.equal(recording.lines.length, 21)
      const [first, left, , , , gone] = recording.lines.filter((line) => line.op.startsWith('multi'))
      assert.deepEqual(first.calls, [{ rc: 0, done: 1 }, { rc: 0, done: 1 }, { rc: 0 }])
      assert.deepEqual(left.calls, [{ rc: 0, done: 1 }, { rc: 0 }, { rc: null, done: null }])
      assert.equal(left.back, 'syscall')
      assert.deepEqual(gone.calls, [{ rc: null }, { rc: null, done: null }])
      assert.equal(gone.fault, 'PF:0x14')
      assert.equal(recording.header.status, 'crash')
    })
  }

  test(`random scripts of fixed seeds agree in a ${domain}`, { skip }, () => {
    const words = [
      '--random',
      '1..2',
      '--profile',
      'all',
      '--ops',
      '250',
      ...(domain === 'domU' ? ['--domu'] : []),
    ]
    const { status, stdout, stderr } = oracle(...words)
    assert.equal(stdout, '')
    assert.match(stderr, /14 scripts, 3\d\d\d operations compared, .*; 0 scripts differ\n$/)
    assert.equal(status, 0)
  })
}

test('what real Xen recorded is a recording that the machine agrees with, to be changed by nobody', {
  skip,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-oracle-test-'))
  try {
    const script = join(folder, 'pin.txt')
    writeFileSync(script, 'page A T\nset T[0] = A|P|RW|US\npin1 T\nro T\npin1 T\ninfo A T\n')
    const { status, stdout } = oracle('--record', folder, '--json', script)
    assert.equal(status, 0)
    assert.deepEqual(readdirSync(folder), ['pin.dom0.jsonl', 'pin.txt'])
    const text = readFileSync(join(folder, 'pin.dom0.jsonl'), 'utf8')
    assert.equal(stdout, text)
    const recording = parseRecording(text)
    assert.deepEqual(
      recording.lines.map((line) => line.rc),
      [undefined, 0, -22, 0, 0, undefined],
    )
    assert.deepEqual(agreeWith(recording).differences, [])
    const changed = parseRecording(text.replace('"rc":-22', '"rc":-16'))
    assert.deepEqual(
      agreeWith(changed).differences.map(({ n, ours, xens }) => ({ n, ours, xens })),
      [{ n: 3, ours: 'rc=-22', xens: 'rc=-16' }],
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test("a console's lines become a transcript, and frames of the probe are those of the machine", () => {
  const lines = [
    '(XEN) Xen version 4.20.5-pre (Debian 4.20.4+63-g7abfd2bce2-0+deb13u1) (x86_64-linux-gnu-gcc) debug=n Tue Jun 9',
    '@probe dom0',
    '@run 0x0 0xe800 512 1',
    '@sym KL4 0xed11 0x512',
    '@op 1',
    '@sym A 0xea00 0x200',
    '@done',
    '@op 3',
    '(XEN) d0v0 Error mfn 0ea00: rd=d0 od=d0 caf=1 taf=2',
    '@rc -22 done=- calls=0/1,-22/-,- by=syscall fault=PF:0x14 cr2=0xffffffff80100ff0 val=0x800000000ea00067',
    '@words',
    '(XEN) d0v0 Error mfn 0ea00: rd=d[IO] od=d0 caf=8000000000000002 taf=e400000000000001',
    '@words end',
    '@done',
    '@op 4',
    '(XEN) domain_crash called from arch/x86/pv/iret.c:104',
    '(XEN) Domain 0 (vcpu#0) crashed on cpu#0:',
    '(XEN) RIP:    e033:[<ffffffff80100083>]',
    "(XEN) Hardware Dom0 crashed: 'noreboot' set - not rebooting.",
  ]
  const booted: Booted = { lines, end: 'crash', scriptMs: 1, totalMs: 2 }
  const { header, lines: recorded } = recordingOf(
    'page A\n\nget A[0] # a comment\nmulti iret',
    booted,
    'dom0',
  )
  assert.deepEqual([header.version, header.xen], ['4.20.5-pre', 'release'])
  assert.deepEqual(header.p2m, [[0, 0xe800, 512, 1]])
  assert.deepEqual(header.syms, { KL4: { mfn: 'ed11', pfn: '512' }, A: { mfn: 'ea00', pfn: '200' } })
  assert.deepEqual(recorded, [
    { op: 'page A' },
    {
      op: 'get A[0]',
      rc: -22,
      done: null,
      calls: [{ rc: 0, done: 1 }, { rc: -22, done: null }, { rc: null }],
      back: 'syscall',
      fault: 'PF:0x14',
      cr2: '0xffffffff80100ff0',
      val: 'A|0x8000000000000067',
      raw: '0x800000000ea00067',
      log: ['d0v0 Error mfn <A>: rd=d0 od=d0 caf=1 taf=2'],
      info: { A: '8000000000000002/e400000000000001' },
    },
    {
      op: 'multi iret',
      log: ['domain_crash called from arch/x86/pv/iret.c:104', 'Domain 0 (vcpu#0) crashed on cpu#0:'],
      crash: 1,
    },
  ])
})

test('frames of a p2m are used, and a list that is none is refused in one line', () => {
  const run = runScript('page A\nget A[0]')
  const header = { ...run.header, p2m: [[0x200, 0x4000, 16, -1]] }
  const text = (value: object): string => [value, ...run.lines].map((line) => JSON.stringify(line)).join('\n')
  const moved = { ...header, syms: {} }
  const frames = parseRecording(text(moved))
  assert.equal(
    runScript('page A B\nget A[0]', { frames: { ...frames, lines: [] } }).header.syms.B.mfn,
    '3fff',
  )
  assert.throws(() => parseRecording(text({ ...header, p2m: [[1, 2]] })), /:1: no recording, p2m\.0/)
})

test('shrinking finds the lines that matter, and asks no more than it may', async () => {
  const lines = Array.from({ length: 100 }, (_, i) => `line ${i}`)
  let asked = 0
  const shows = async (some: readonly string[]): Promise<boolean> => {
    asked++
    return ['line 3', 'line 50', 'line 99'].every((line) => some.includes(line))
  }
  assert.deepEqual(await shrinkLines(lines, shows, 1000), ['line 3', 'line 50', 'line 99'])
  asked = 0
  const left = await shrinkLines(lines, shows, 10)
  assert.equal(asked, 10)
  assert.ok(left.length < 100 && (await shows(left)))
})

test('bad input is one line and status 2', () => {
  for (const [words, message] of [
    [[], /^oracle: which script\?/],
    [['--randm', '1'], /^oracle: --randm: no such option; did you mean --random\?$/],
    [['--random', 'x'], /^oracle: --random 'x' is no whole number/],
    [['--random', '5..2'], /^oracle: --random '2' is no whole number of 5 /],
    [['--profile', 'odd', '--random', '1'], /^oracle: --profile 'odd' is not known; there are mixed/],
    [['--xen', '4.15', '--random', '1'], /^oracle: --xen '4\.15' is none .*; there are 4\.14, 4\.17, 4\.20$/],
    [['--ops', '0', '--random', '1'], /^oracle: --ops '0' is no whole number of 1 /],
    [['--seed', '1', '--random', '1'], /^oracle: --seed goes with --fresh/],
    [['nowhere.txt'], /^oracle: cannot read nowhere\.txt/],
    [[join(root, 'README.md')], /^oracle: .*README\.md:\d+: /],
  ] as const) {
    const { status, stdout, stderr } = oracle(...words)
    assert.equal(status, 2, stderr)
    assert.equal(stdout, '')
    assert.match(stderr.trimEnd(), message)
    assert.equal(stderr.trimEnd().split('\n').length, 1)
  }
  assert.match(oracle('--help').stdout, /^usage: npm run oracle/)
})

test('a tool that is not there is named, with what to install', () => {
  const { status, stderr } = spawnSync(process.execPath, [`${root}oracle/main.ts`, '--random', '1'], {
    encoding: 'utf8',
    env: { PATH: '/nowhere' },
  })
  assert.equal(status, 2)
  assert.match(stderr, /^oracle: qemu-system-x86_64 is not installed: apt-get install qemu-system-x86\n$/)
})
