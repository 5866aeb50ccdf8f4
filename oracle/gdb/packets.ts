/** Packets of GDB's remote protocol (the manual of GDB, appendix E): `$`, what is said, `#` and the sum of its bytes as two hex digits. */

/** What goes over the line to say that: a packet. */
export function packetOf(said: string): string {
  return `$${said}#${checksum(said)}`
}

function checksum(said: string): string {
  let sum = 0
  for (let i = 0; i < said.length; i++) sum += said.charCodeAt(i)
  return (sum & 0xff).toString(16).padStart(2, '0')
}

/** What a stub has sent: a packet's contents, or that it wants the last one again. */
export type Received = { readonly said: string } | 'again'

/** Cuts what comes over the line, in pieces of any size, into packets. Acknowledgements are passed over. */
export class PacketReader {
  private rest = ''

  /** What has become whole by this piece. A packet whose sum is wrong throws: a socket loses nothing. */
  take(piece: string): Received[] {
    this.rest += piece
    const received: Received[] = []
    for (;;) {
      const start = this.rest.search(/[$-]/)
      if (start === -1) {
        this.rest = ''
        return received
      }
      if (this.rest[start] === '-') {
        received.push('again')
        this.rest = this.rest.slice(start + 1)
        continue
      }
      const end = this.rest.indexOf('#', start)
      if (end === -1 || this.rest.length < end + 3) {
        this.rest = this.rest.slice(start)
        return received
      }
      const said = this.rest.slice(start + 1, end)
      const sum = this.rest.slice(end + 1, end + 3).toLowerCase()
      if (sum !== checksum(said))
        throw new Error(`the stub's packet $${said.slice(0, 40)} has the sum ${sum}`)
      received.push({ said })
      this.rest = this.rest.slice(end + 3)
    }
  }
}

/** Registers of an x86-64 stub in the order of its `g` packet, eight bytes each. */
const REGISTERS = [
  ...['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp'],
  ...['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip'],
] as const
export type Register = (typeof REGISTERS)[number]
export type Registers = Readonly<Record<Register, bigint>>

/** Registers out of the answer to `g`. Throws for one that is too short. */
export function registersOf(said: string): Registers {
  const bytes = Buffer.from(said, 'hex')
  if (bytes.length < REGISTERS.length * 8) throw new Error(`the stub's registers are ${bytes.length} bytes`)
  const pairs = REGISTERS.map((name, i) => [name, bytes.readBigUInt64LE(i * 8)])
  return Object.fromEntries(pairs) as Registers
}

/** The packet that gives a register a value. */
export function registerPacket(name: Register, value: bigint): string {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value))
  return `P${REGISTERS.indexOf(name).toString(16)}=${bytes.toString('hex')}`
}
