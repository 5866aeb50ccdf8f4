import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { GdbClient } from '../../oracle/gdb/client.ts'
import { PacketReader, packetOf, registerPacket, registersOf } from '../../oracle/gdb/packets.ts'

test('packets have the sum of their bytes', () => {
  assert.equal(packetOf('g'), '$g#67')
  assert.equal(packetOf('m0,4'), '$m0,4#fd')
  assert.equal(packetOf('qSupported'), '$qSupported#37')
})

test('packets come out whole from pieces of any size, acknowledgements and a wish to hear the last one again between them', () => {
  const line = `+${packetOf('OK')}+-${packetOf('T05thread:01;')}`
  for (const size of [1, 2, 3, 7, 100]) {
    const reader = new PacketReader()
    const received = []
    for (let at = 0; at < line.length; at += size) received.push(...reader.take(line.slice(at, at + size)))
    assert.deepEqual(received, [{ said: 'OK' }, 'again', { said: 'T05thread:01;' }])
  }
  assert.throws(() => new PacketReader().take('$OK#00'), /has the sum 00/)
})

test('registers are eight bytes each, in the order of the stub', () => {
  const bytes = Buffer.alloc(24 * 8)
  bytes.writeBigUInt64LE(0xfffffffffffffff2n, 0)
  bytes.writeBigUInt64LE(0xffffffff81a442b1n, 16 * 8)
  const { rax, rip, rbx } = registersOf(bytes.toString('hex'))
  assert.deepEqual([rax, rip, rbx], [0xfffffffffffffff2n, 0xffffffff81a442b1n, 0n])
  assert.throws(() => registersOf('00'), /1 bytes/)
  assert.equal(registerPacket('r11', 0x246n), 'Pb=4602000000000000')
})

/** A stub that gives the answers of a table, and keeps what it was asked; what is not in the table it does not know. */
async function withStub(
  answers: Readonly<Record<string, string>>,
  use: (gdb: GdbClient, asked: readonly string[]) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-gdb-'))
  const path = join(folder, 'socket')
  const asked: string[] = []
  const server = createServer((socket) => {
    const reader = new PacketReader()
    socket.setEncoding('latin1').on('data', (piece: string) => {
      for (const received of reader.take(piece)) {
        if (received === 'again') continue
        asked.push(received.said)
        socket.write(`+${packetOf(answers[received.said] ?? '')}`)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  try {
    const gdb = await GdbClient.connect(path)
    await use(gdb, asked).finally(() => gdb.close())
  } finally {
    server.close()
    rmSync(folder, { recursive: true })
  }
}

test('a client stops a machine, looks at it and lets it go on', async () => {
  const answers = {
    'Z0,1000,1': 'OK',
    c: 'T05thread:01;',
    c1002: 'S05',
    s: 'T05thread:01;',
    'm2000,4': '01020304',
    'm3000,400': '00'.repeat(1024),
    'm3400,1': 'ff',
    'm4000,8': 'E14',
    'M2000,2:abcd': 'OK',
    'P7=0020000000000000': 'OK',
  }
  await withStub(answers, async (gdb, asked) => {
    await gdb.breakAt(0x1000n)
    await gdb.resume()
    assert.deepEqual(await gdb.memory(0x2000n, 4), Buffer.from([1, 2, 3, 4]))
    assert.equal((await gdb.memory(0x3000n, 1025))?.[1024], 0xff)
    assert.equal(await gdb.memory(0x4000n, 8), null)
    await gdb.store(0x2000n, Buffer.from([0xab, 0xcd]))
    await gdb.setRegister('rsp', 0x2000n)
    await gdb.step()
    await gdb.resume(0x1002n)
    assert.deepEqual(asked, Object.keys(answers).toSorted(byFirst(asked)))
  })
})

const byFirst =
  (order: readonly string[]) =>
  (a: string, b: string): number =>
    order.indexOf(a) - order.indexOf(b)

test('a machine that ends, and a stub that refuses, are errors', async () => {
  await withStub({ c: 'W00' }, async (gdb) => {
    await assert.rejects(gdb.resume(), /'W00'/)
    await assert.rejects(gdb.breakAt(1n), /answers Z0,1,1 with ''/)
    await assert.rejects(gdb.askForRegisters(), /does not describe/)
    gdb.close()
    await assert.rejects(gdb.registers())
  })
})
