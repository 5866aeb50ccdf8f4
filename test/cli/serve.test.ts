import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { pageServer, serveFile, serving } from '../../src/cli/verbs/serve/serve.ts'
import { BadInput } from '../../src/run/boot/boot-options.ts'
import { listeningIo } from '../tools/listening-io.ts'
import { xenolith } from '../tools/tools.ts'

const PAGE = Buffer.from('<!doctype html><title>page</title>')
const server = pageServer(PAGE)
let port = 0
before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
after(() => server.close())

/** The answer to a request that no browser would send either. */
async function ask(path: string, method = 'GET'): Promise<{ status: number; body: string; type: string }> {
  const asked = request({ host: '127.0.0.1', port, path, method }).end()
  const [answer] = await once(asked, 'response')
  let body = ''
  for await (const part of answer) body += part
  return { status: answer.statusCode, body, type: answer.headers['content-type'] }
}

test('there is the page, and nothing else', async () => {
  const page = await ask('/')
  assert.deepEqual(page, { status: 200, body: PAGE.toString(), type: 'text/html; charset=utf-8' })
  assert.equal((await ask('/index.html?x#y')).status, 200)
  assert.equal((await ask('/', 'HEAD')).body, '')
  for (const path of [
    '/../package.json',
    '/..%2f..%2fetc/passwd',
    '//etc/passwd',
    '/index.html/x',
    '/%00',
    '*',
  ]) {
    assert.equal((await ask(path)).status, 404, path)
  }
  assert.equal((await ask('/', 'POST')).status, 405)
})

test('it listens on this machine alone, prints where, and ends when it is told to', async () => {
  const { io, out: lines } = listeningIo()
  let stop = (): void => {}
  const done = serving(
    PAGE,
    { port: '0' },
    io,
    new Promise((resolve) => {
      stop = resolve
    }),
  )
  while (lines.length === 0) await new Promise((next) => setTimeout(next, 5))
  const address = /^The page is at (http:\/\/localhost:\d+\/) \(for this machine only\); \^C ends it\.$/.exec(
    lines[0],
  )
  assert.ok(address, lines[0])
  assert.equal(await (await fetch(address[1])).text(), PAGE.toString())
  stop()
  assert.equal(await done, 0)
  await assert.rejects(fetch(address[1]))
})

test('a bad port and one that is taken are one line and status 2', async () => {
  for (const word of ['99999', '-1', 'http', '']) {
    const { status, stderr } = xenolith(['serve', `--port=${word}`])
    assert.equal(status, 2)
    assert.match(
      stderr,
      /^xenolith: --port .*: not a port; give a number up to 65535, 0 for any that is free\n$/,
    )
  }
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port: number } = taken.address() as AddressInfo
  const { io } = listeningIo()
  await assert.rejects(serving(PAGE, { port: String(number) }, io, Promise.resolve()), (error: Error) => {
    assert.ok(error instanceof BadInput)
    assert.equal(
      error.message,
      `--port ${number}: something else listens there; give another, or 0 for any that is free`,
    )
    return true
  })
  taken.close()
})

test('a clone whose page is not built says how to build it', async () => {
  const { io } = listeningIo()
  const nowhere = new URL('file:///nowhere/index.html')
  await assert.rejects(
    serveFile(nowhere, { port: '0' }, io),
    /the page has not been built yet; run 'npm run build'/,
  )
})
