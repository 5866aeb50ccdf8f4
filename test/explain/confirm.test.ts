import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Confirmation, type ConfirmInput, confirm } from '../../src/explain/confirm/confirm.ts'
import { explainLines } from '../../src/explain/explain.ts'
import { numberedLines } from '../../src/explain/log/read-log.ts'
import { type BootOptions, type BootResult, boot } from '../../src/run/boot/boot.ts'
import { mapLines } from '../../src/run/maps/map-text.ts'
import { findMap } from '../../src/run/maps/maps.ts'
import { recorded } from '../tools/recordings.ts'
import { firstOf, howMany, sampled } from '../tools/sample.ts'

/** What a reader of logs makes of a console: its lines, the refusal if Xen printed one, and whether it crashed. */
function input(lines: readonly string[], suspects?: string[]): ConfirmInput {
  const text = lines.join('\n')
  const bad = /Bad type \(saw \w+ != exp (\w)\w+\) for mfn \w+ \(pfn (\w+)\)/.exec(text)
  return {
    lines,
    // In both layouts of the type word: e is writable in the newer one, 7 in the older.
    ...(bad ? { refused: { pfn: bad[2], exp: /[7e]/.test(bad[1]) ? 'writable' : 'l1' } } : {}),
    ...(suspects ? { suspects } : {}),
    crashed: /crashed|Kernel panic/.test(text),
  }
}

function said(log: ConfirmInput): Confirmation {
  const result = confirm(log)
  assert.ok(result, 'the log has nothing of an early boot')
  return result
}

const VIRT_BASE = 0xffff_ffff_8000_0000n
/** Where the p2m list begins here: no early boot depends on it. */
const P2M = VIRT_BASE + 0x200_0000n

/** A dom0's whole log, as Xen and its kernel would have printed it: the model's console under the lines of a builder. */
function dom0Log(options: BootOptions & { map: string }, version: string): [string[], BootResult] {
  const result = boot({ ...options, firmwareMap: true })
  const { nrPages, vEnd, append } = result.machine
  return [
    [
      '(XEN) Xen version 4.1.0 (build@host) (gcc version 4.4.5) Fri Apr 29 12:00:00 UTC 2011',
      ...mapLines(findMap(options.map)),
      `(XEN)  Phys-Mach map: ${P2M.toString(16)}->${(P2M + BigInt(nrPages) * 8n).toString(16)}`,
      `(XEN)  TOTAL:         ${VIRT_BASE.toString(16)}->${(VIRT_BASE + BigInt(vEnd)).toString(16)}`,
      ...kernelLog(result, version, append),
    ],
    result,
  ]
}

function kernelLog(result: BootResult, version: string, append = ''): string[] {
  const at = result.console.findIndex((line) => line.startsWith('about to get started'))
  return [
    ...result.console.slice(0, at + 1),
    `Linux version ${version} (build@host) (gcc version 4.4.5) #1 SMP`,
    `Command line: console=hvc0 ${append}`,
    ...result.console.slice(at + 1),
  ]
}

/** Runs the command that a confirmation gives, on a file with the log. */
function runCommand(command: string, lines: readonly string[]): BootResult {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-confirm-'))
  try {
    const file = join(folder, 'boot.log')
    writeFileSync(file, lines.join('\n'))
    const words = command.match(/'[^']*'|\S+/g)!.slice(1)
    const args = words.map((word) => (word === 'LOG' ? file : word.replaceAll("'", '')))
    const bin = join(import.meta.dirname, '..', '..', 'bin', 'xenolith.js')
    return JSON.parse(execFileSync(process.execPath, [bin, ...args, '--json'], { encoding: 'utf8' }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function recordedLines(name: string): string[] {
  return recorded(`real-boots/logs/${name}.log`).split(/\r?\n/)
}

test('recorded consoles of the crash: the same page, its holder and its repair', () => {
  const crashes = [
    ['sweep-smp-ii-high-mask1--seedlike-bacf7', '4.17', '0xbacf7', undefined],
    ['xen410-smp-ii-high-mask1--seedlike-bacf7', '4.1', '0xbacf7', undefined],
    ['debian-release-xen-ii-m2048-p60008', '4.17-release', '0x5fff5', ['5fff5']],
  ] as const
  for (const [name, xen, pfn, suspects] of firstOf(crashes, 1)) {
    const lines = recordedLines(name)
    const result = said(input(lines, suspects && [...suspects]))
    assert.equal(result.verdict, 'same-pfn', name)
    assert.equal(result.ran?.generation, 'B', name)
    assert.equal(result.ran?.xen, xen, name)
    assert.equal(result.ran?.pfn, pfn, name)
    assert.deepEqual(result.ran?.tableLines, { inLog: 2, same: 2 }, name)
    // The page's own place in the direct map, from the L1 one page below it.
    assert.equal(result.holder?.tablePfn, `0x${(Number(pfn) - 1).toString(16)}`, name)
    assert.equal(result.holder?.address, `0xffff8800${pfn.slice(2).padStart(5, '0')}000`, name)
    assert.ok(result.holder?.written, name)
    assert.equal(result.repair?.generation, 'C', name)
    assert.equal(result.repair?.boots, true, name)
    assert.equal(runCommand(result.ran!.command, lines).pfn, pfn, name)
  }
})

test('the version is the banner’s, or the one whose line numbers the log has', () => {
  const version = (name: string, keep: (line: string) => boolean): string | undefined =>
    explainLines(numberedLines(recordedLines(name).filter(keep).join('\n'))).confirmation?.ran?.xen
  const isBanner = (line: string): boolean => /Xen version|----\[ Xen-|^Xen \d/.test(line)
  const versions = [
    ['xen410-smp-ii-high-mask1--seedlike-bacf7', '4.1', '4.1'],
    ['sweep-smp-ii-high-mask1--seedlike-bacf7', '4.17', '4.17'],
    ['c7-2049-xen420-debug', '4.20', '4.20'],
  ]
  for (const [name, told, untold] of firstOf(versions, 1)) {
    assert.equal(
      version(name, () => true),
      told,
      name,
    )
    assert.equal(
      version(name, (line) => !isBanner(line)),
      untold,
      name,
    )
  }
})

test('a recorded console of a release build without suspects: the same end, and no page to compare', () => {
  const result = said(input(recordedLines('debian-release-xen-ii-m2048-p60008')))
  assert.equal(result.verdict, 'same-outcome')
  assert.equal(result.ran?.generation, 'B')
})

test('recorded consoles that boot, and those of the two kernels that no release was', () => {
  const outcome = (name: string) => {
    const { verdict, ran, repair } = said(input(recordedLines(name)))
    return [verdict, ran?.generation, ran?.via, repair?.boots]
  }
  assert.deepEqual(outcome('xen410-smp-iii-workaround--seedlike-bacf7'), ['boots', 'C', null, undefined])
  assert.deepEqual(outcome('sweep-smp-iv-reserve--seedlike-bacf7'), ['boots', 'D', null, undefined])
  assert.deepEqual(outcome('xen410-smp-v-ro-top-never-rw--m2048-1024M'), [
    'same-outcome',
    'C0',
    'page-fault',
    true,
  ])
  // The frame is the kernel's own static L3: that both images have it at one address is no promise.
  const [verdict, ...rest] = outcome('sweep-smp-ii0-high-mask0--m2048-1024M')
  assert.match(String(verdict), /^same-(?:pfn|outcome)$/)
  assert.deepEqual(rest, ['B0', 'ptwr', true])
})

type Raw = {
  name: string
  generation: string
  kernel: string
  xen: string
  v_end: string
  p2m: [string, string]
  memmap_option: string | null
  machine_e820: { start: string; end: string; type: string }[]
  refused: { pfn: string; exp: string } | null
  lines: string[]
  xen_lines: string[]
  oops: string[]
}

test('recorded boots: the lines name the generation, though every kernel prints one version', () => {
  const { boots } = JSON.parse(recorded('real-boots/boots.json')) as { boots: Raw[] }
  assert.equal(boots.length, 72)
  for (const raw of sampled(boots, 30)) {
    const dies = raw.refused !== null || raw.generation === 'C0'
    const hex = (text: string) => Number(text).toString(16).padStart(16, '0')
    const { verdict, ran } = said(
      input([
        `(XEN) Xen version ${raw.xen.split(' ')[0]} (build@host) debug=y`,
        '(XEN) Xen-e820 RAM map:',
        ...raw.machine_e820.map((e) => `(XEN)  ${hex(e.start)} - ${hex(e.end)} (${e.type})`),
        `(XEN)  Phys-Mach map: ${raw.p2m[0]}->${raw.p2m[1]}`,
        `(XEN)  TOTAL:         ${VIRT_BASE.toString(16)}->${(VIRT_BASE + BigInt(raw.v_end)).toString(16)}`,
        `Linux version ${raw.kernel} (build@host)`,
        `Command line: console=hvc0 ${raw.memmap_option === null ? '' : `memmap=${raw.memmap_option}`}`,
        ...raw.lines,
        ...raw.xen_lines,
        // What uniprocessor kernels and 2.6.38 die of comes later.
        ...(dies ? raw.oops : ['Zone PFN ranges:']),
      ]),
    )
    assert.equal(ran?.generation, raw.generation, raw.name)
    assert.equal(ran?.tableLines.same, ran?.tableLines.inLog, raw.name)
    const expected = raw.generation === 'C0' ? 'same-outcome' : dies ? 'same-pfn' : 'boots'
    assert.equal(verdict, raw.generation === 'B0' ? verdict : expected, raw.name)
  }
})

test("the model's own console, whatever release it says it is, is recognised by its tables and its page", () => {
  const [lines, real] = dom0Log({ linux: 'B', map: 'toshiba-tosqci-amd-8g' }, '2.6.38.2-2-mageia')
  const result = said(input(lines))
  assert.equal(result.verdict, 'same-pfn')
  assert.equal(result.ran?.generation, 'B')
  assert.equal(result.ran?.pfn, real.pfn)
  assert.equal(result.ran?.vEnd, real.machine.vEnd)
  assert.deepEqual(result.holder, real.holder)
  assert.deepEqual(result.repair, {
    commits: ['b9269dc7bfdf', 'a38647837a41'],
    without: [],
    generation: 'C',
    releases: '2.6.39-rc6 and rc7',
    boots: true,
  })
  assert.equal(runCommand(result.ran!.command, lines).pfn, real.pfn)
})

test('a command line with memmap= takes part in the boot and in the command', () => {
  const [lines, real] = dom0Log({ linux: 'B', map: 'seedlike-bacf7' }, '2.6.39-rc5')
  const result = said(input(lines))
  assert.equal(result.verdict, 'same-pfn')
  assert.equal(result.ran?.pfn, real.pfn)
  assert.match(result.ran!.command, /--append 'memmap=\S+'$/)
  assert.equal(runCommand(result.ran!.command, lines).pfn, real.pfn)
})

test('a console that boots, one of another page, and one that died later', () => {
  const [lines] = dom0Log({ linux: 'C', map: 'seedlike-bacf7' }, '2.6.39-rc7')
  assert.equal(said(input(lines)).verdict, 'boots')
  assert.equal(said(input(lines)).ran?.generation, 'C')

  const [crash] = dom0Log({ linux: 'B', map: 'seedlike-bacf7' }, '2.6.39-rc5')
  const other = said({ ...input(crash), refused: { pfn: 'bacf8', exp: 'l1' } })
  assert.equal(other.verdict, 'other-outcome')
  assert.match(other.says, /refused at pfn bacf7; the log is refused at pfn bacf8/)

  const later = said({ ...input([...lines, 'Zone PFN ranges:']), crashed: true })
  assert.equal(later.verdict, 'cannot-tell')
  assert.match(later.says, /after its early page tables/)
})

test('the lines of Xen alone are enough when the page agrees', () => {
  const [lines, real] = dom0Log({ linux: 'B', map: 'toshiba-tosqci-amd-8g' }, '2.6.39-rc5')
  const result = said(input(lines.filter((line) => line.startsWith('(XEN)'))))
  assert.equal(result.verdict, 'same-pfn')
  assert.equal(result.ran?.pfn, real.pfn)
  assert.deepEqual(result.ran?.tableLines, { inLog: 0, same: 0 })
})

test("a domU's console: its memory and the end of its initial mapping follow from its own lines", () => {
  for (const [linux, version] of [
    ['B', '2.6.39-rc5'],
    ['2.6.39-rc4', '2.6.39'],
  ] as const) {
    const options: BootOptions =
      linux === 'B' ? { map: 'ec2-domu-7680m' } : { memory: 1025 * 256, hasMap: false }
    const real = boot({ ...options, linux, domain: 'domU' })
    const result = said(input(kernelLog(real, version)))
    assert.equal(real.outcome, 'refused')
    assert.equal(result.verdict, 'same-pfn', linux)
    assert.equal(result.ran?.generation, real.linux)
    assert.equal(result.ran?.pfn, real.pfn)
    assert.equal(result.ran?.nrPages, real.machine.nrPages)
    assert.equal(result.ran?.vEnd, real.machine.vEnd)
    assert.match(result.ran!.command, / --domu /)
  }
})

test("the workaround's own crash: generation C in a domU above 4 GiB, cured by its successor", () => {
  const real = boot({ linux: 'C', map: 'ec2-domu-7680m' })
  const lines = kernelLog(real, '2.6.39-rc6')
  const result = said(input(lines))
  assert.equal(result.verdict, 'same-outcome')
  assert.equal(result.ran?.generation, 'C')
  assert.deepEqual(result.repair?.commits, ['279b706bf800'])
  assert.equal(result.repair?.boots, true)
  assert.equal(said({ ...input(lines), suspects: ['0', '1dfffb'] }).verdict, 'same-pfn')
})

test("the workaround's crash in a domU with xl's map, of any size, and its own refusal where there is none", () => {
  const real = boot({ linux: 'C', domain: 'domU', memory: 512 * 256, vEnd: 28 << 20 })
  assert.equal(real.outcome, 'fault')
  const fault = said(input(kernelLog(real, '2.6.39-rc7')))
  assert.equal(fault.verdict, 'same-outcome')
  assert.equal(fault.ran?.nrPages, '0x20000')
  assert.equal(fault.ran?.pfn, real.pfn)
  const own = boot({ linux: 'C', domain: 'domU', memory: 2049 * 256, vEnd: 28 << 20, hasMap: false })
  assert.equal(own.via, 'update_va_mapping')
  const refused = said(input(kernelLog(own, '2.6.39-rc7')))
  assert.equal(refused.verdict, 'same-pfn')
  assert.equal(refused.repair?.boots, true)
})

test('what is missing is named, with how to get it', () => {
  const [lines] = dom0Log({ linux: 'B', map: 'toshiba-tosqci-amd-8g' }, '2.6.39-rc5')
  const without = (what: RegExp) => said(input(lines.filter((line) => !what.test(line))))
  for (const [what, missing] of [
    [/RAM map|^\(XEN\) {2}[0-9a-f]{16} - |^ Xen: /, /Xen-e820 RAM map/],
    [/Phys-Mach/, /Phys-Mach map:.*dom0_mem=/],
    [/TOTAL|initial memory mapped/, /TOTAL:/],
  ] as const) {
    const result = without(what)
    assert.equal(result.verdict, 'cannot-tell', String(what))
    assert.match(result.missing!.join('\n'), missing)
  }
  // The end of kernel and initrd gives what TOTAL says.
  assert.equal(without(/TOTAL/).ran?.vEnd, said(input(lines)).ran?.vEnd)
  // So do dom0_mem and the pages of the allocation for Phys-Mach.
  const mem = lines.map((line) =>
    line.includes('Phys-Mach') ? '(XEN) Command line: dom0_mem=8150760K,max:9000M' : line,
  )
  assert.equal(said(input(mem)).ran?.nrPages, '0x1f17ba')
})

test("the seed's own log has no machine in it; a log without an early boot has nothing to confirm", () => {
  const seed = said(input(boot().console.filter((line) => !line.startsWith(' Xen: '))))
  assert.equal(seed.verdict, 'cannot-tell')
  assert.match(seed.missing!.join('\n'), /Xen-e820 RAM map/)
  assert.equal(confirm({ lines: [], crashed: true }), undefined)
  assert.equal(confirm({ lines: ['(XEN) Domain 0 crashed', 'something else'], crashed: true }), undefined)
})

test('without a page or a table line in common nothing is claimed', () => {
  const [lines] = dom0Log({ linux: 'B', map: 'toshiba-tosqci-amd-8g' }, '2.6.39-rc5')
  const xenAlone = lines.filter((line) => /^\(XEN\)/.test(line) && !/Bad type|pinning/.test(line))
  const release = said(input(xenAlone))
  assert.equal(release.verdict, 'cannot-tell')
  assert.match(release.missing!.join('\n'), /kernel direct mapping tables/)

  const [fine] = dom0Log({ linux: 'D', map: 'toshiba-tosqci-amd-8g' }, '2.6.39')
  const untold = fine.filter((line) => !/mapping|setting RW/.test(line))
  assert.equal(said(input(untold)).verdict, 'boots')
  assert.equal(said(input(untold.filter((line) => !/Linux version/.test(line)))).verdict, 'cannot-tell')
  const tooEarly = untold.map((line) => line.replace('Linux version 2.6.39', 'Linux version 2.6.39-rc5'))
  assert.equal(said(input(tooEarly)).verdict, 'other-outcome')
})

test('a domU that crashed in a log of dom0 is not taken for dom0', () => {
  const [lines] = dom0Log({ linux: 'B', map: 'toshiba-tosqci-amd-8g' }, '2.6.39-rc5')
  const other = lines.map((line) => line.replace(/:d0 Bad/, ':d5 Bad').replace('Domain 0 (', 'Domain 5 ('))
  assert.match(said(input(other)).says, /not dom0 that crashed/)
})

test('kernels and guests that the model does not have are named', () => {
  const [lines] = dom0Log({ linux: 'B', map: 'seedlike-bacf7' }, '2.6.39-rc5')
  const says = (from: RegExp, to: string) => {
    const result = said(input(lines.map((line) => line.replace(from, to))))
    assert.equal(result.verdict, 'cannot-tell')
    return result.says
  }
  assert.match(says(/Linux version \S+/, 'Linux version 3.9.0'), /3\.9 and later/)
  assert.match(says(/Linux version \S+/, 'Linux version 6.1.0-rc3'), /3\.9 and later/)
  assert.match(says(/Linux version \S+/, 'Linux version 2.6.32.27'), /older than 2\.6\.37/)
  assert.match(says(/^.*TOTAL/, '(XEN) ELF: note: GUEST_OS = "NetBSD"\n'), /NetBSD/)
  assert.match(
    says(/^\(XEN\) {2}00000000000f0000.*/, '(XEN)  ...'),
    /cut short/,
    'somebody left lines of the map out',
  )
  assert.match(
    says(/^\(XEN\) {2}0000000100000000 .*/, '(XEN) System RAM: 4095MB (4193788kB)'),
    /cut short/,
    'Xen counted more RAM than the lines have',
  )
})

test('machines that cannot be, and machines too large, end in a reason', () => {
  const [lines] = dom0Log({ linux: 'B', map: 'seedlike-bacf7' }, '2.6.39-rc5')
  const with_ = (from: RegExp, to: string) => said(input(lines.map((line) => line.replace(from, to))))
  const usable = /^\(XEN\) {2}0000000100000000 - \S+/
  for (const [from, to] of [
    [usable, '(XEN)  0000000000100000 - 0000000140000000'],
    [usable, '(XEN)  0000000140000000 - 0000000100000000'],
    [usable, '(XEN)  0000000100000000 - fffffffffffff000'],
    [usable, '(XEN)  0000000100000000 - 0000100000000000'],
    [/Phys-Mach map: .*/, 'Phys-Mach map: ffffffff82000000->ffffffff81000000'],
    [/Phys-Mach map: .*/, 'Phys-Mach map: 0000008000000000->00000080fffffff8'],
    [/Phys-Mach map: .*/, 'Phys-Mach map: 0->ffffffffffffffffffffffffffffffffffffffff'],
    [/Phys-Mach map: .*/, 'Phys-Mach map: ffffffff82000000->ffffffff82000000'],
    [/TOTAL: .*/, 'TOTAL: ffffffff80000000->ffffffff80000123'],
    [/TOTAL: .*/, 'TOTAL: 0->ffffffffffffffff'],
    [/Command line: .*/, 'Command line: memmap=1000G@4G'],
    [/Command line: .*/, 'Command line: memmap=0x7fffffffffffffff@0'],
    [/Command line: .*/, 'Command line: memtest=99999999'],
    [/Command line: .*/, 'Command line: memmap=exactmap'],
    [/Command line: .*/, 'Command line: mem=1'],
    [/Command line: .*/, `Command line: ${'memmap=4K$1M '.repeat(150)}`],
  ] as const) {
    const result = with_(from, to)
    assert.equal(result.verdict, 'cannot-tell', to)
    assert.ok(result.says.length > 20, to)
  }
})

test('logs of any length take little time', () => {
  for (const line of [
    '',
    'f'.repeat(200),
    '0'.repeat(3000),
    '(XEN) Xen-e820 RAM map:',
    `${' '.repeat(115)}- `,
  ]) {
    const start = performance.now()
    confirm({ lines: ['(XEN) Xen-e820 RAM map:', ...Array(30_000).fill(line)], crashed: true })
    assert.ok(performance.now() - start < 5_000, `${line.slice(0, 30)}: ${performance.now() - start} ms`)
  }
})

test('a cut or garbled log is never confirmed as something that it does not say', () => {
  const [lines, real] = dom0Log(
    { linux: 'B', map: 'xen416-qemu-tcg-2gb', memory: 0x60008, vEnd: 0x1800000 },
    '2.6.39',
  )
  assert.equal(real.outcome, 'refused')
  const damage = fc.oneof(
    fc.record({ kind: fc.constant('cut' as const), at: fc.nat(lines.length) }),
    fc.record({ kind: fc.constant('drop' as const), at: fc.nat(lines.length - 1) }),
    fc.record({ kind: fc.constant('swap' as const), at: fc.nat(lines.length - 2) }),
    fc.record({
      kind: fc.constant('digit' as const),
      at: fc.nat(lines.length - 1),
      digit: fc.constantFrom('0', '7', 'f', '', ' ', 'ffffffff'),
      column: fc.nat(60),
    }),
  )
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
      const hurt = [...lines]
      for (const { at, ...how } of damages) {
        if (how.kind === 'cut') hurt.length = Math.min(hurt.length, at)
        else if (at >= hurt.length - 1) continue
        else if (how.kind === 'drop') hurt.splice(at, 1)
        else if (how.kind === 'swap') [hurt[at], hurt[at + 1]] = [hurt[at + 1], hurt[at]]
        else hurt[at] = hurt[at].slice(0, how.column) + how.digit + hurt[at].slice(how.column + 1)
      }
      const log = input(hurt)
      const result = confirm(log)
      if (result?.verdict !== 'same-pfn') return
      assert.equal(Number(result.ran!.pfn), Number.parseInt(log.refused!.pfn, 16))
      assert.equal(result.ran!.tableLines.same, result.ran!.tableLines.inLog)
    }),
    { seed: 20110429, numRuns: howMany({ all: 60, few: 6 }) },
  )
})

test('lines of any kind end in plain data', () => {
  const word = fc.constantFrom(
    '(XEN) ',
    'Xen-e820 RAM map:',
    ' 0000000000000000 - 00000000bffe0000 (usable)',
    ' Xen: 0000000000100000 - 0000000040000000 (usable)',
    'Phys-Mach map: ffffffff81000000->ffffffff81200000',
    'TOTAL: ffffffff80000000->ffffffff82000000',
    'Linux version 2.6.39',
    'Linux version 999.999.999-rc999',
    'mapping kernel into physical memory',
    'initial memory mapped : 0 - 01591000',
    'kernel direct mapping tables up to 40000000 @ 3fdfe000-40000000',
    'init_memory_mapping: ffffffffffffffff-0',
    'Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn 1 (pfn ffffffffffffffff)',
    'Command line: mem=-1 memmap=@ memtest=1e9',
    'f'.repeat(5000),
  )
  const line = fc.oneof(
    fc.array(word, { maxLength: 3 }).map((words) => words.join('')),
    fc.string({ unit: 'binary', maxLength: 80 }),
  )
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 30 }),
      fc.boolean(),
      fc.option(fc.string({ maxLength: 20 })),
      (lines, crashed, pfn) => {
        const result = confirm({ lines, crashed, ...(pfn === null ? {} : { refused: { pfn, exp: 'l1' } }) })
        assert.ok(result === undefined || result.says.length > 0)
        assert.deepEqual(structuredClone(result), result)
      },
    ),
    { seed: 20110512, numRuns: howMany({ all: 300, few: 60 }) },
  )
})
