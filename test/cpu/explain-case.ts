import {
  Decoder,
  DecoderOptions,
  Formatter,
  FormatterSyntax,
  InstructionInfoFactory,
  Register,
} from 'iced-x86'
import { type CpuCase, type CpuResult, SPACE } from './case.ts'
import { differences, exceptionText, flagsText, registerText } from './compare.ts'

/** The instructions of a case, as iced-x86 reads them. */
export function disassemble(one: CpuCase): string {
  return withDecoder(one, (decoder, formatter) => {
    const lines: string[] = []
    while (decoder.canDecode) {
      const instruction = decoder.decode()
      lines.push(formatter.format(instruction))
      instruction.free()
    }
    return lines.join('; ')
  })
}

function withDecoder<T>(one: CpuCase, use: (decoder: Decoder, formatter: Formatter) => T): T {
  const decoder = new Decoder(64, one.code, DecoderOptions.None)
  const formatter = new Formatter(FormatterSyntax.Intel)
  decoder.ip = BigInt(SPACE.code + one.codeAt)
  try {
    return use(decoder, formatter)
  } finally {
    decoder.free()
    formatter.free()
  }
}

/** The registers that a case's code uses, full width. */
function usedRegisters(one: CpuCase): string[] {
  return withDecoder(one, (decoder) => {
    const names = new Set<string>()
    const factory = new InstructionInfoFactory()
    while (decoder.canDecode) {
      const instruction = decoder.decode()
      const info = factory.info(instruction)
      for (const used of info.usedRegisters()) {
        names.add(Register[fullRegister(used.register)].toLowerCase())
        used.free()
      }
      info.free()
      instruction.free()
    }
    factory.free()
    return [...names]
  })
}

/** iced numbers the general registers of 8, 16, 32 and 64 bits in groups: al to r15l (20), ax (16), eax (16), rax (16). */
function fullRegister(register: Register): Register {
  if (register >= Register.AX && register <= Register.R15W) return register - Register.AX + Register.RAX
  if (register >= Register.EAX && register <= Register.R15D) return register - Register.EAX + Register.RAX
  if (register >= Register.AH && register <= Register.BH) return register - Register.AH + Register.RAX
  if (register >= Register.SPL && register <= Register.R15L) return register - Register.SPL + Register.RSP
  if (register >= Register.AL && register <= Register.BL) return register - Register.AL + Register.RAX
  return register
}

/** A difference, for the person who has to mend it: what ran, in which state, and what came out of it on both sides. */
export function explainCase(one: CpuCase, number: number, expected: CpuResult, actual: CpuResult): string {
  const before = usedRegisters(one).flatMap((name) => {
    const text = registerText(one, name)
    return text === undefined ? [] : [`${name} ${text}`]
  })
  if (one.usesFpu) {
    const { mxcsr, fcw, fsw, ftw } = one.state
    const words = [mxcsr, fcw, fsw, ftw].map((word) => word.toString(16))
    before.push(`mxcsr ${words[0]}`, `x87 control ${words[1]} status ${words[2]} tags ${words[3]}`)
  }
  const data = Buffer.from(one.state.data).toString('hex')
  const found = differences(one, expected, actual)
  const shown = found.slice(0, 12).map((d) => `    ${d.part.padEnd(12)} ${d.expected}  but here ${d.actual}`)
  if (found.length > shown.length) shown.push(`    and ${found.length - shown.length} more`)
  return [
    `  case ${number}: ${Buffer.from(one.code).toString('hex')}  ${disassemble(one)}`,
    `    at ${(SPACE.code + one.codeAt).toString(16)}, flags ${flagsText(one.state.rflags)}`,
    ...before.map((text) => `    before: ${text}`),
    `    data at ${(SPACE.data + one.dataAt).toString(16)}: ${data.length > 256 ? `${data.slice(0, 256)}...` : data}`,
    `    exception    ${exceptionText(expected)}`,
    ...shown,
  ].join('\n')
}
