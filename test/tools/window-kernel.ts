import { HYPERCALL } from '../../src/xen/abi.ts'
import { assemble } from './assemble.ts'
import { BASE, TEXT, tinyKernel } from './tiny-kernel.ts'

/** Places of start_info: public/xen.h. */
const [CONSOLE_PORT, PT_BASE, MFN_LIST] = [80, 88, 104]
/** The console's page follows xenstore's behind start_info: its output, and the index of what is written. */
const [CONSOLE, OUT_PROD] = [0x2400, 0x80c]
const PAGE = 4096
/** The entry of the root that the window lies behind. */
const SLOT = 300
/** As 48-bit addresses. */
const base = Number(BASE & 0xffff_ffff_ffffn)
const text = base + Number(TEXT)
const page = (n: number): number => text + (1 + n) * PAGE

/** What the code of such a kernel may name. */
const SYMBOLS = {
  base,
  data: page(0),
  spare: page(4),
  list: SLOT * 2 ** 39,
  ...HYPERCALL,
}

/**
 * A kernel of a page of code which has a window of 512 GiB (`list`) where every page is one and the same (`data`): an L1, an
 * L2 and an L3 of 512 entries that are all alike. `spare` are two pages more, of zeros. When the code begins, rbx is the list
 * of frames, r15 start_info, and r14 the frame of `data`; `go` stands on the console.
 *
 * @param code what it does then, in the assembler's words; `call fill` fills `data` with r8 and r9 by turns
 */
export function windowKernel(code: string): Buffer {
  const source = `
        mov r15, rsi
        mov rbx, [rsi + ${MFN_LIST}]
        mov r12, data
        call frame
        mov r14, rax
        mov r13d, 3
level:  mov rdi, r12
        add rdi, ${PAGE}
        mov r8, rax
        shl r8, 12
        or r8, 0x67
        mov r9, r8
        call fillat
        add r12, ${PAGE}
        call frame
        push rax
        mov rsi, rax
        shl rsi, 12
        or rsi, 0x65
        mov rdi, r12
        mov edx, 2
        mov eax, update_va_mapping
        syscall
        pop rax
        dec r13d
        jnz level
        mov r8, rax
        shl r8, 12
        or r8, 0x67
        mov r12, [r15 + ${PT_BASE}]
        call frame
        shl rax, 12
        add rax, ${SLOT * 8}
        mov rdi, data
        mov [rdi], rax
        mov [rdi + 8], r8
        mov esi, 1
        xor edx, edx
        mov r10d, 0x7ff0
        mov eax, mmu_update
        syscall
        mov eax, 0x0a6f67
        mov [r15 + ${CONSOLE}], eax
        mov eax, 3
        mov [r15 + ${CONSOLE + OUT_PROD}], eax
        mov eax, [r15 + ${CONSOLE_PORT}]
        push rax
        mov edi, 4
        mov rsi, rsp
        mov eax, event_channel_op
        syscall
        pop rax
        ${code}
stay:   jmp stay

frame:  mov rax, r12
        mov rcx, base
        sub rax, rcx
        shr rax, 12
        lea rax, [rbx + rax*8]
        mov rax, [rax]
        ret

fill:   mov rdi, data
fillat: mov ecx, 256
more:   mov [rdi], r8
        mov [rdi + 8], r9
        add rdi, 16
        dec ecx
        jnz more
        ret`
  const { bytes } = assemble(source, { at: text, symbols: SYMBOLS })
  if (bytes.length > PAGE) throw new Error('more than a page of code')
  return tinyKernel(bytes, { room: 8 * PAGE })
}
