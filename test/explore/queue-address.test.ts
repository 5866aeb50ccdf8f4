import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { nkeys } from '@nats-io/transport-node'
import { BadInput } from '../../src/bits/bad-input.ts'
import { type QueueFlags, readAddress } from '../../src/explore/queue/address.ts'
import { openNats } from '../../src/explore/queue/nats.ts'
import { openQueue } from '../../src/explore/queue/open-queue.ts'
import { natsServer } from '../tools/nats-server.ts'
import { local, results, worker } from '../tools/queue-tools.ts'
import { needs, root, xenolith } from '../tools/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-queue-'))
after(() => rmSync(folder, { recursive: true }))

function file(name: string, content: string): string {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

/** A server of that configuration, with TLS where its address says so; opens it and gives the complaint, or null. */
async function tried(
  config: string,
  flags: (host: string) => QueueFlags,
  environment: NodeJS.ProcessEnv = {},
): Promise<string | null> {
  const server = await natsServer(config)
  try {
    const queue = await openNats(readAddress(flags(server.url.replace('nats://', '')), environment))
    await queue.close()
    return null
  } catch (error) {
    return (error as Error).message
  } finally {
    await server.remove()
  }
}

const SECRET_WORD = 'sesame'
const SECRET = 'sesame/?#@ü'
const typed = encodeURIComponent(SECRET)
const PASSWORD = `authorization { user: "ci", password: "${SECRET}" }`

describe('who may use a server', { skip: needs('nats-server'), timeout: 60_000, concurrency: 4 }, () => {
  test('a name and a password, in the address or in the environment', async () => {
    assert.equal(await tried(PASSWORD, (host) => ({ queue: `nats://ci:${typed}@${host}` })), null)
    const environment = { NATS_USER: 'ci', NATS_PASSWORD: SECRET }
    assert.equal(await tried(PASSWORD, (host) => ({ queue: `nats://${host}` }), environment), null)
    const wrong = await tried(PASSWORD, (host) => ({ queue: `nats://ci:${typed}x@${host}` }))
    assert.match(
      wrong!,
      /^the NATS server at 127\.0\.0\.1:\d+ does not let us in: Authorization Violation; give/i,
    )
  })

  test('a token', async () => {
    const config = `authorization { token: "${SECRET}" }`
    assert.equal(await tried(config, (host) => ({ queue: `nats://${typed}@${host}` })), null)
    assert.equal(await tried(config, (host) => ({ queue: `nats://${host}` }), { NATS_TOKEN: SECRET }), null)
  })

  test('an NKey', async () => {
    const user = nkeys.createUser()
    const nkey = file('user.nk', `${new TextDecoder().decode(user.getSeed())}\n`)
    const config = `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`
    assert.equal(await tried(config, (host) => ({ queue: `nats://${host}`, nkey })), null)
    assert.equal(await tried(config, (host) => ({ queue: `nats://${host}` }), { NATS_NKEY: nkey }), null)
    assert.match((await tried(config, (host) => ({ queue: `nats://${host}` })))!, /does not let us in/)
  })

  test('credentials', async () => {
    const { config, creds } = operated()
    const flags = { creds: file('user.creds', creds) }
    assert.equal(await tried(config, (host) => ({ queue: `nats://${host}`, ...flags })), null)
    assert.equal(
      await tried(config, (host) => ({ queue: `nats://${host}` }), { NATS_CREDS: flags.creds }),
      null,
    )
  })

  test('a user that may not do it is told so, and does not wait for ever', async () => {
    const config =
      'authorization { users: [ { user: a, password: b, permissions: { publish: "none", subscribe: ">" } } ] }'
    const says = await tried(config, (host) => ({ queue: `nats://a:b@${host}` }))
    assert.match(says!, /^the NATS server at \S+ has no JetStream for us: .*permission/i)
  })

  test('the users of docs/sweep.md, who may do no more than they need', async () => {
    const docs = readFileSync(`${root}docs/sweep.md`, 'utf8')
    const config = /^authorization \{$.*?^\}$/ms
      .exec(docs)![0]
      .replaceAll(/\$(COORDINATOR|WORKER)/g, SECRET_WORD)
    const server = await natsServer(config)
    const open = (user: string) =>
      openNats(readAddress({ queue: server.url.replace('//', `//${user}:${SECRET_WORD}@`) }))
    try {
      const [coordinator, others] = [await open('coordinator'), await open('worker')]
      const honest = worker(others)
      assert.deepEqual(await results(coordinator), await local())
      await honest.stop()
      await Promise.all([coordinator.close(), others.close()])
    } finally {
      await server.remove()
    }
  })

  test('TLS, with a certificate that nobody but us trusts, by name and by address', async (t) => {
    const reason = needs('openssl')
    if (reason !== false) return t.skip(reason)
    const { cert, key } = certificate('DNS:localhost,IP:127.0.0.1')
    const config = `tls { cert_file: "${cert}", key_file: "${key}" }\n${PASSWORD}`
    const queue = (host: string) => `tls://ci:${typed}@${host}`
    assert.equal(await tried(config, (host) => ({ queue: queue(host), tlsca: cert })), null)
    const named = (host: string) => queue(host.replace('127.0.0.1', 'localhost'))
    assert.equal(await tried(config, (host) => ({ queue: named(host) }), { NATS_CA: cert }), null)
    assert.match((await tried(config, (host) => ({ queue: queue(host) })))!, /self-signed certificate/)
    const other = certificate('DNS:elsewhere')
    const elsewhere = `tls { cert_file: "${other.cert}", key_file: "${other.key}" }`
    const says = await tried(elsewhere, (host) => ({ queue: queue(host), tlsca: other.cert }))
    assert.match(says!, /127\.0\.0\.1 is not in the cert's list/)
  })

  test('TLS in which the server asks who we are', async (t) => {
    const reason = needs('openssl')
    if (reason !== false) return t.skip(reason)
    const { cert, key } = certificate('DNS:localhost,IP:127.0.0.1')
    const config = `tls { cert_file: "${cert}", key_file: "${key}", ca_file: "${cert}", verify: true }`
    const flags = { tlsca: cert, tlscert: cert, tlskey: key }
    assert.equal(await tried(config, (host) => ({ queue: `tls://${host}`, ...flags })), null)
  })

  test('a server without TLS gets no password when TLS was asked for', async () => {
    const says = await tried(PASSWORD, (host) => ({ queue: `tls://ci:${typed}@${host}` }))
    assert.match(says!, /does not support 'tls'/)
  })
})

test('what cannot be is one line, before anybody is asked', () => {
  const says = (flags: QueueFlags, environment: NodeJS.ProcessEnv = {}): string => {
    try {
      readAddress({ queue: 'nats://host', ...flags }, environment)
    } catch (error) {
      return (error as Error).message
    }
    return ''
  }
  assert.equal(says({}), '')
  assert.match(says({ queue: 'nats://a:b@host', creds: 'x' }), /cannot read x/)
  assert.match(
    says({ creds: file('bad.creds', 'no credentials') }),
    /bad\.creds: this is no such file of NATS/,
  )
  assert.match(says({ nkey: file('bad.nk', 'SUNONE') }), /bad\.nk: this is no such file of NATS/)
  const nkey = file('good.nk', new TextDecoder().decode(nkeys.createUser().getSeed()))
  assert.match(says({ queue: 'nats://a:b@host', nkey }), /exclude each other/)
  assert.match(says({ tlscert: nkey }), /--tlscert and --tlskey belong together/)
  assert.match(says({}, { NATS_CA: '/nowhere' }), /cannot read \/nowhere/)
  const { authenticator, tls, host } = readAddress({ queue: 'tls://a@[::1]:1' }, { NATS_USER: 'other' })
  assert.deepEqual([authenticator!('nonce'), tls !== null, host], [{ auth_token: 'a' }, true, '[::1]:1'])
})

test('a password is in no line, and in no list of processes', { skip: needs('nats-server') }, async () => {
  const server = await natsServer(PASSWORD)
  const secret = 'sesame'
  try {
    const host = server.url.replace('nats://', '')
    for (const address of [
      `nats://ci:${secret}@${host}`,
      `nats://ci:${secret}@127.0.0.1:1`,
      `nats://ci:${secret}@${host}/more`,
      `nats://ci:${secret}%zz@${host}`,
      `nats:ci:${secret}@${host}`,
      `nats://ci:${secret} @${host}:x`,
      `http://ci:${secret}@${host}`,
    ])
      await assert.rejects(openQueue({ queue: address }), (error: Error) => {
        assert.ok(error instanceof BadInput)
        assert.ok(!error.stack!.includes(secret), error.stack)
        return true
      })
    for (const words of [
      ['worker', '--debug', '--queue', `nats://ci:${secret}@${host}`],
      ['sweep', '--map', 'none', '--memory', '32M', '--json', '--queue', `nats://ci:${secret}@127.0.0.1:1`],
      ['worker', '--queue', `nats:ci:${secret}@${host}`],
    ]) {
      const { status, stdout, stderr } = xenolith(words)
      assert.equal(status, 2, stderr)
      assert.match(stderr, /^xenolith: [^\n]*\n$/)
      assert.ok(!`${stdout}${stderr}`.includes(secret), stderr)
    }
    if (process.platform === 'linux') await isNotListed(`nats://ci:${typed}@${host}`)
  } finally {
    await server.remove()
  }
})

/** A worker with that address soon has a command line without it. */
async function isNotListed(address: string): Promise<void> {
  const child = spawn(process.execPath, [`${root}bin/xenolith.js`, 'worker', '--queue', address])
  const gone = new Promise((resolve) => child.once('exit', resolve))
  const listed = (): boolean => readFileSync(`/proc/${child.pid}/cmdline`, 'latin1').includes('sesame')
  try {
    for (let left = 200; left > 0 && listed(); left--) await new Promise((next) => setTimeout(next, 50))
    assert.ok(!listed())
  } finally {
    child.kill('SIGTERM')
    await gone
  }
}

let certificates = 0

/** A certificate that has signed itself, for these names. */
function certificate(names: string): { readonly cert: string; readonly key: string } {
  const name = `certificate${certificates++}`
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)]
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test -addext subjectAltName=${names} -keyout ${key} -out ${cert}`
  const { status, stderr } = spawnSync('openssl', words.split(' '), { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return { cert, key }
}

/** A server run by an operator, with one account and one user: tokens as NATS's tools make them. */
function operated(): { readonly config: string; readonly creds: string } {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()]
  const base64url = (data: Uint8Array | string): string => Buffer.from(data).toString('base64url')
  const token = (by: typeof operator, of: typeof operator, nats: object): string => {
    const claims = { jti: 'x', iat: 1, iss: by.getPublicKey(), name: 'test', sub: of.getPublicKey(), nats }
    const body = `${base64url('{"typ":"JWT","alg":"ed25519-nkey"}')}.${base64url(JSON.stringify(claims))}`
    return `${body}.${base64url(by.sign(new TextEncoder().encode(body)))}`
  }
  const limits = {
    ...{ subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 },
    ...{ mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
  }
  const accountToken = token(operator, account, { type: 'account', version: 2, limits })
  const system = nkeys.createAccount()
  const systemToken = token(operator, system, {
    type: 'account',
    version: 2,
    limits: { ...limits, mem_storage: 0, disk_storage: 0, streams: 0, consumer: 0 },
  })
  const userToken = token(account, user, { type: 'user', version: 2, subs: -1, data: -1, payload: -1 })
  const seed = new TextDecoder().decode(user.getSeed())
  const line = (name: string, content: string): string =>
    `-----BEGIN ${name}-----\n${content}\n------END ${name}------\n`
  return {
    config: `operator: ${token(operator, operator, { type: 'operator', version: 2 })}
      system_account: ${system.getPublicKey()}
      resolver: MEMORY
      resolver_preload: {
        ${account.getPublicKey()}: ${accountToken}
        ${system.getPublicKey()}: ${systemToken}
      }`,
    creds: `${line('NATS USER JWT', userToken)}\n${line('USER NKEY SEED', seed)}`,
  }
}
