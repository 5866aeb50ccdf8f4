import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { BadInput } from '../../../run/boot/boot-options.ts'
import type { Io } from '../../io.ts'

/** What `xenolith serve` takes. */
export type ServeFlags = { readonly port?: string; readonly open?: boolean }

/** Nobody but this machine reaches it. */
const HOST = '127.0.0.1'
const USUAL_PORT = 7780

/** The page, which lies beside both `src` and `dist`. */
const PAGE = new URL('../../../../web/dist/index.html', import.meta.url)

/** Serves the page on this machine alone, until it is interrupted. */
export function run(options: ServeFlags, io: Io): Promise<number> {
  return serveFile(PAGE, options, io)
}

/** The same for a page in another place. */
export async function serveFile(file: URL, options: ServeFlags, io: Io): Promise<number> {
  portOf(options.port)
  return serving(readPage(file), options, io, interrupted())
}

/** The same for any page, until `stop` comes true. */
export async function serving(
  page: Buffer,
  options: ServeFlags,
  io: Io,
  stop: Promise<void>,
): Promise<number> {
  const server = await listening(pageServer(page), portOf(options.port), options.port)
  const address = `http://localhost:${(server.address() as AddressInfo).port}/`
  io.out(`The page is at ${address} (for this machine only); ^C ends it.`)
  if (options.open) openInBrowser(address, io)
  await stop
  const closed = new Promise((done) => server.close(done))
  server.closeAllConnections()
  await closed
  return 0
}

/** The browser that the desktop would open an address with. */
const OPENERS: Readonly<Record<string, readonly string[]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start'],
}

function openInBrowser(page: string, io: Io): void {
  const [program, ...words] = OPENERS[process.platform] ?? ['xdg-open']
  const child = spawn(program, [...words, page], { stdio: 'ignore', detached: true })
  child.on('error', () =>
    io.err(`xenolith: no browser could be opened: ${program} is not here; open ${page}`),
  )
  child.unref()
}

function portOf(text: string | undefined): number {
  if (text === undefined) return USUAL_PORT
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1
  if (port < 0 || port > 65535)
    throw new BadInput(`--port ${text}: not a port; give a number up to 65535, 0 for any that is free`)
  return port
}

function readPage(file: URL): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new BadInput("the page has not been built yet; run 'npm run build' in the clone first")
  }
}

/** The page is one file: there is nothing else to be had, and no path on the disk to be asked for. */
export function pageServer(page: Buffer): Server {
  return createServer((request, response) => {
    const path = (request.url ?? '').replace(/[?#].*/s, '')
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (!isRead || (path !== '/' && path !== '/index.html')) {
      response.writeHead(isRead ? 404 : 405, { 'Content-Type': 'text/plain; charset=utf-8' })
      response.end(isRead ? 'There is one page here, and it is at /\n' : 'This page can only be read.\n')
      return
    }
    response.writeHead(200, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Length': page.length,
      'Cache-Control': 'no-cache',
      'X-Content-Type-Options': 'nosniff',
    })
    response.end(request.method === 'HEAD' ? undefined : page)
  })
}

function listening(server: Server, port: number, asked: string | undefined): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why: Record<string, string> = {
        EADDRINUSE: 'something else listens there',
        EACCES: 'only root may listen there',
      }
      const said = why[error.code ?? '']
      if (said === undefined) reject(error)
      else {
        const what = asked === undefined ? `port ${port}` : `--port ${asked}`
        reject(new BadInput(`${what}: ${said}; give another, or 0 for any that is free`))
      }
    })
    server.listen(port, HOST, () => resolve(server))
  })
}

function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}
