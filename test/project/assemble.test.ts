import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from 'iced-x86'
import { assemble } from '../tools/assemble.ts'

/** What a disassembler reads back, one line an instruction, in its own notation. */
function readBack(bytes: Uint8Array, at: bigint): string[] {
  const decoder = new Decoder(64, bytes, DecoderOptions.None)
  decoder.ip = at
  const formatter = new Formatter(FormatterSyntax.Intel)
  formatter.hexPrefix = '0x'
  formatter.hexSuffix = ''
  const lines: string[] = []
  while (decoder.canDecode) {
    const one = decoder.decode()
    lines.push(formatter.format(one))
    one.free()
  }
  formatter.free()
  decoder.free()
  return lines
}

const cases: readonly [source: string, back: string][] = [
  ['mov eax, 18', 'mov eax,0x12'],
  ['mov r9, 0x123456789abc', 'mov r9,0x123456789ABC'],
  ['mov rdi, -1', 'mov rdi,0xFFFFFFFFFFFFFFFF'],
  ['mov byte [rsi], 7', 'mov byte ptr [rsi],7'],
  ['mov qword [r12 + rbx*8 + 16], rax', 'mov [r12+rbx*8+0x10],rax'],
  ['mov rax, fs:[0x10]', 'mov rax,fs:[0x10]'],
  ['mov sil, dl', 'mov sil,dl'],
  ['mov rax, cr3', 'mov rax,cr3'],
  ['mov dr7, rcx', 'mov dr7,rcx'],
  ['mov fs, ax', 'mov fs,ax'],
  ['add rsp, 8', 'add rsp,8'],
  ['cmp word [rbp - 4], 0x1234', 'cmp word ptr [rbp-4],0x1234'],
  ['xor r15d, r15d', 'xor r15d,r15d'],
  ['test al, 1', 'test al,1'],
  ['lock xadd [rdx], ecx', 'lock xadd [rdx],ecx'],
  ['xchg r8, [rax]', 'xchg [rax],r8'],
  ['cmpxchg [rdi], rsi', 'cmpxchg [rdi],rsi'],
  ['shl rax, 12', 'shl rax,0xC'],
  ['inc dword [rax]', 'inc dword ptr [rax]'],
  ['push r10', 'push r10'],
  ['push 0x20', 'push 0x20'],
  ['pop qword [rax]', 'pop qword ptr [rax]'],
  ['call rax', 'call rax'],
  ['jmp [rax]', 'jmp qword ptr [rax]'],
  ['int 0x80', 'int 0x80'],
  ['rep movsb', 'rep movsb [rdi],[rsi]'],
  ['iretq', 'iretq'],
  ['invlpg [rax]', 'invlpg [rax]'],
  ['lgdt [rsp]', 'lgdt [rsp]'],
  ['mov rax, cr8', 'mov rax,cr8'],
  ['mov cr3, r9', 'mov cr3,r9'],
  ['mov fs, [rbx]', 'mov fs,[rbx]'],
  ['in al, dx', 'in al,dx'],
  ['out dx, eax', 'out dx,eax'],
  ['iret', 'iretd'],
  ['sete dl', 'sete dl'],
  ['setnz byte [rax]', 'setne [rax]'],
  ['lsl eax, [rbx]', 'lsl eax,[rbx]'],
  ['lar ecx, eax', 'lar ecx,eax'],
  ['verw ax', 'verw ax'],
  ['str eax', 'str eax'],
  ['movnti [rsp - 8], eax', 'movnti [rsp-8],eax'],
  ['prefetchnta [rax]', 'prefetchnta [rax]'],
  ['lfence', 'lfence'],
  ['fxsave [rsp]', 'fxsave [rsp]'],
  ['ldmxcsr [rsp]', 'ldmxcsr [rsp]'],
  ['fld1', 'fld1'],
  ['fwait', 'fwait'],
  ['emms', 'emms'],
  ['movd mm0, eax', 'movd mm0,eax'],
  ['movd xmm3, eax', 'movd xmm3,eax'],
  ['movaps xmm0, xmm1', 'movaps xmm0,xmm1'],
  ['addps xmm0, xmm1', 'addps xmm0,xmm1'],
]

test('a disassembler reads back what was written', () => {
  for (const [source, back] of cases) {
    const lines = readBack(assemble(source).bytes, 0n)
    assert.equal(lines.length, 1, `${source}: ${lines}`)
    assert.equal(lines[0], back, source)
  }
})

test('labels are addresses, forward and backward, and data follows code', () => {
  const { bytes, labels } = assemble(
    `start: lea rsi, [rip + text]
            jne end
            jmp start
     end:   mov rax, start
     text:  .text "a;b\\n"
            .at 0x40
            .word 0x1234, 2`,
    { at: 0x1000 },
  )
  const lines = readBack(bytes.subarray(0, labels.get('text')! - 0x1000), 0x1000n)
  assert.deepEqual(lines, [
    `lea rsi,[0x${labels.get('text')!.toString(16).toUpperCase()}]`,
    `jne 0x${labels.get('end')!.toString(16).padStart(16, '0').toUpperCase()}`,
    'jmp 0x0000000000001000',
    'mov rax,0x1000',
  ])
  assert.equal(Buffer.from(bytes.subarray(labels.get('text')! - 0x1000)).toString('latin1', 0, 4), 'a;b\n')
  assert.deepEqual([...bytes.subarray(0x40)], [0x34, 0x12, 2, 0])
})

test('what it does not know it refuses, and names the line', () => {
  assert.throws(() => assemble('frobnicate rax, rbx'), /frobnicate rax, rbx: the assembler has no frobnicate/)
  assert.throws(() => assemble('jmp nowhere'), /no label nowhere/)
  assert.throws(() => assemble('inc [rax]'), /say byte/)
})
