import { EVTCHNOP, HYPERCALL, SCHED_OP } from '../../src/xen/abi.ts'
import { assemble } from './assemble.ts'

/**
 * Kernels of a few instructions, as ELF files and bzImages, for tests of what reads them: made by hand, as a compiler is not
 * everywhere.
 */
export const BASE = 0xffff_ffff_8000_0000n
/** Where its code lies, in physical memory and from BASE on. */
export const TEXT = 0x10_0000n

export type TinyOptions = {
  /** Notes that replace or add to the usual ones, by type; null leaves one out. */
  readonly notes?: Readonly<Record<number, Uint8Array | null>>
  /** Bytes behind the code, which only take room. */
  readonly room?: number
}

export function word(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

/** A note of Xen's: sizes, type, name, content. */
function note(type: number, content: Uint8Array): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt32LE(4, 0)
  head.writeUInt32LE(content.length, 4)
  head.writeUInt32LE(type, 8)
  head.write('Xen', 12)
  return Buffer.concat([head, content, Buffer.alloc(-content.length & 3)])
}

/** An ELF file with this code at its entry. */
export function tinyKernel(code: Uint8Array, options: TinyOptions = {}): Buffer {
  const notes = new Map<number, Uint8Array | null>([
    [1, word(BASE + TEXT)],
    [3, word(BASE)],
    [5, Buffer.from('xen-3.0\0')],
    [8, Buffer.from('generic\0')],
  ])
  for (const [type, content] of Object.entries(options.notes ?? {})) notes.set(Number(type), content)
  const noteBytes = Buffer.concat(
    [...notes].map(([type, content]) => (content === null ? Buffer.alloc(0) : note(type, content))),
  )
  const header = Buffer.alloc(64 + 2 * 56)
  header.write('\x7fELF\x02\x01\x01', 'latin1')
  header.writeUInt16LE(2, 16)
  header.writeUInt16LE(62, 18)
  header.writeBigUInt64LE(BASE + TEXT, 24)
  header.writeBigUInt64LE(64n, 32)
  header.writeUInt16LE(56, 54)
  header.writeUInt16LE(2, 56)
  const segment = (
    n: number,
    type: number,
    offset: number,
    physical: bigint,
    bytes: number,
    memory: number,
  ) => {
    const at = 64 + n * 56
    header.writeUInt32LE(type, at)
    header.writeBigUInt64LE(BigInt(offset), at + 8)
    header.writeBigUInt64LE(physical, at + 24)
    header.writeBigUInt64LE(BigInt(bytes), at + 32)
    header.writeBigUInt64LE(BigInt(memory), at + 40)
  }
  segment(0, 1, header.length, TEXT, code.length, code.length + (options.room ?? 0))
  segment(1, 4, header.length + code.length, 0n, noteBytes.length, noteBytes.length)
  return Buffer.concat([header, code, noteBytes])
}

/** A kernel made of assembler's text, which may name the hypercalls, `base` and `text`. */
export function kernelOf(source: string, options: TinyOptions = {}): Buffer {
  return tinyKernel(kernelCode(source), options)
}

/** The code of such a kernel, for the place that it has there. */
export function kernelCode(source: string): Uint8Array {
  const at = address(BASE + TEXT)
  return assemble(source, { at, symbols: { ...HYPERCALL, base: address(BASE), text: at } }).bytes
}

/** 48 bits of an address. */
function address(va: bigint): number {
  return Number(BigInt.asUintN(48, va))
}

/** Writes a message to the console's ring, tells its other end, and shuts down for a reason. */
export function speaking(message: string, reason: number): string {
  const bytes = Buffer.from(message)
  return `
        lea rdi, [rsi + 0x2400]       ; the console's output
        lea rbx, [rip + message]
        mov ecx, ${bytes.length}
copy:   mov al, [rbx]
        mov [rdi], al
        inc rbx
        inc rdi
        dec ecx
        jnz copy
        mov dword [rsi + 0x2c0c], ${bytes.length}  ; out_prod
        mov eax, [rsi + 0x50]         ; its port
        push rax
        mov edi, ${EVTCHNOP.send}
        mov rsi, rsp
        mov eax, event_channel_op
        syscall
        push ${reason}
        mov edi, ${SCHED_OP.shutdown}
        mov rsi, rsp
        mov eax, sched_op
        syscall
over:   jmp over
message: ${bytes.length === 0 ? '' : `.byte ${[...bytes].join(', ')}`}`
}

/** Ends with a reason. */
export const shutdown = (reason: number): string => `
        push ${reason}
        mov edi, ${SCHED_OP.shutdown}
        mov rsi, rsp
        mov eax, sched_op
        syscall
over:   jmp over`

/** One operation of mmuext_op on the guest itself, whose structure is on top of the stack. */
export const MMUEXT_ON_STACK = `
        mov rdi, rsp
        mov esi, 1
        xor edx, edx
        mov r10d, 0x7ff0
        mov eax, mmuext_op
        syscall`

/** Counts so far down before anything else, in two instructions each. */
export function delay(count: number): string {
  return `
        mov r12d, ${count}
waiting: dec r12d
        jnz waiting
`
}

/** A bzImage with this payload and the size of its content behind it, if that is not in it. */
export function bzImage(payload: Uint8Array, size: number | null): Buffer {
  const sectors = 2
  const file = Buffer.alloc((sectors + 1) * 512)
  const trailer = Buffer.alloc(4)
  trailer.writeUInt32LE(size ?? 0)
  const whole = size === null ? payload : Buffer.concat([payload, trailer])
  file[0x1f1] = sectors
  file.writeUInt16LE(0xaa55, 0x1fe)
  file.write('HdrS', 0x202)
  file.writeUInt16LE(0x20f, 0x206)
  file.writeUInt32LE(16, 0x248)
  file.writeUInt32LE(whole.length, 0x24c)
  return Buffer.concat([file, Buffer.alloc(16), whole])
}
