import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A NATS server of its own: on a free port of this machine, with a store that goes away with it. */
export type Server = {
  readonly url: string
  /** Kill it without warning, as a power cut would. */
  kill(): Promise<void>
  /** Start it again on the same port and store. */
  start(): Promise<void>
  remove(): Promise<void>
}

/** @param config what stands in its configuration beside port and store; `FOLDER` in it is the server's own folder */
export async function natsServer(config = ''): Promise<Server> {
  const store = mkdtempSync(join(tmpdir(), 'xenolith-nats-'))
  const file = join(store, 'server.conf')
  writeFileSync(file, config.replaceAll('FOLDER', store))
  const port = await freePort()
  let child: ChildProcess | null = null
  const kill = async (): Promise<void> => {
    if (child === null) return
    const gone = new Promise((resolve) => child!.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
    child = null
  }
  const start = async (): Promise<void> => {
    child = spawn(
      'nats-server',
      ['-c', file, '-js', '-sd', join(store, 'js'), '-a', '127.0.0.1', '-p', String(port)],
      {
        stdio: 'ignore',
      },
    )
    await answers(port)
  }
  await start()
  return {
    url: `nats://127.0.0.1:${port}`,
    kill,
    start,
    remove: async () => {
      await kill()
      rmSync(store, { recursive: true, force: true })
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

async function answers(port: number): Promise<void> {
  for (let left = 200; left > 0; left--) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('nats-server does not start')
}
