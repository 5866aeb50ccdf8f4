import { connect, type Socket } from 'node:net'
import {
  PacketReader,
  packetOf,
  type Register,
  type Registers,
  registerPacket,
  registersOf,
} from './packets.ts'

/** Bytes that one packet may ask for: QEMU's packets have 4096 characters at most. */
const MOST_BYTES = 1024

/** One end of GDB's remote protocol: who has a stopped machine looked at, and lets it go on. One question at a time. */
export class GdbClient {
  private readonly socket: Socket
  private readonly reader = new PacketReader()
  private waiting: { resolve: (said: string) => void; reject: (error: Error) => void } | null = null
  private last = ''
  private ended: Error | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (piece: string) => this.receive(piece))
    socket.on('error', (error) => this.end(error))
    socket.on('close', () => this.end(new Error('the stub has gone')))
  }

  /** @param path of a socket in the file system, where a stub listens */
  static connect(path: string): Promise<GdbClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path)
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new GdbClient(socket))
      })
    })
  }

  close(): void {
    this.socket.destroy()
  }

  private receive(piece: string): void {
    try {
      for (const received of this.reader.take(piece)) {
        if (received === 'again') this.socket.write(this.last)
        else this.answer(received.said)
      }
    } catch (error) {
      this.end(error as Error)
      this.close()
    }
  }

  private answer(said: string): void {
    const { waiting } = this
    this.waiting = null
    waiting?.resolve(said)
  }

  private end(error: Error): void {
    this.ended ??= error
    this.waiting?.reject(this.ended)
    this.waiting = null
  }

  /**
   * Say something, and hear the answer. What was heard before is acknowledged by the same write: a byte that comes while the machine
   * runs would stop it.
   */
  ask(said: string): Promise<string> {
    if (this.ended !== null) return Promise.reject(this.ended)
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject }
      this.last = packetOf(said)
      this.socket.write(`+${this.last}`)
    })
  }

  private async command(said: string): Promise<void> {
    const answer = await this.ask(said)
    if (answer !== 'OK') throw new Error(`the stub answers ${said} with '${answer}'`)
  }

  /** Have the machine stop before it executes what is at an address. */
  async breakAt(va: bigint): Promise<void> {
    await this.command(`Z0,${va.toString(16)},1`)
  }

  async registers(): Promise<Registers> {
    return registersOf(await this.ask('g'))
  }

  /** Memory as the machine sees it where it stands; null where nothing is mapped. */
  async memory(va: bigint, bytes: number): Promise<Uint8Array | null> {
    const parts: Uint8Array[] = []
    for (let at = 0; at < bytes; at += MOST_BYTES) {
      const length = Math.min(MOST_BYTES, bytes - at)
      const said = await this.ask(`m${(va + BigInt(at)).toString(16)},${length.toString(16)}`)
      if (said.startsWith('E') || said.length !== length * 2) return null
      parts.push(Buffer.from(said, 'hex'))
    }
    return Buffer.concat(parts)
  }

  /** Have the stub describe its registers: QEMU's lets only those set single ones who have asked for that. */
  async askForRegisters(): Promise<void> {
    const answer = await this.ask('qXfer:features:read:target.xml:0,3f0')
    if (!/^[lm]/.test(answer)) throw new Error(`the stub does not describe its registers: '${answer}'`)
  }

  async setRegister(name: Register, value: bigint): Promise<void> {
    await this.command(registerPacket(name, value))
  }

  async store(va: bigint, bytes: Uint8Array): Promise<void> {
    const text = Buffer.from(bytes).toString('hex')
    await this.command(`M${va.toString(16)},${bytes.length.toString(16)}:${text}`)
  }

  /** Execute one instruction. From where something is to stop the machine it does not get away otherwise. */
  async step(): Promise<void> {
    await this.stopped('s')
  }

  /** Go on to the next place to stop at, from where the machine stands or from an address. */
  async resume(from?: bigint): Promise<void> {
    await this.stopped(from === undefined ? 'c' : `c${from.toString(16)}`)
  }

  private async stopped(said: string): Promise<void> {
    const answer = await this.ask(said)
    if (!/^[TS]05/.test(answer))
      throw new Error(`the machine has not come to where it was to stop: '${answer}'`)
  }
}
