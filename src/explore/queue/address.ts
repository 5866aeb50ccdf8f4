import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import {
  type Authenticator,
  credsAuthenticator,
  nkeyAuthenticator,
  type TlsOptions,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node'
import { BadInput } from '../../bits/bad-input.ts'
import { readText } from '../../files/read.ts'

/** How a queue is named on the command line. The names are those of NATS's own command. */
export type QueueFlags = {
  /** `nats://[user:password@]host[:port]`, or `tls://`; a name without a password is a token. */
  readonly queue?: string
  /** Files: credentials of a user (JWT and seed), or the seed of a user's NKey. */
  readonly creds?: string
  readonly nkey?: string
  /** Files in PEM: who may have signed the server's certificate; this side's own certificate and key. */
  readonly tlsca?: string
  readonly tlscert?: string
  readonly tlskey?: string
}

/** A server, and what opens it. */
export type ServerAddress = {
  /** Host and port: what may be printed. */
  readonly host: string
  readonly authenticator: Authenticator | null
  /** Null where the server decides. */
  readonly tls: TlsOptions | null
}

/** Keys and certificates are small. */
const LARGEST_SECRET = 2 ** 18

/**
 * A server's address, as it was typed and as the environment of NATS's own command has it: NATS_USER and NATS_PASSWORD,
 * NATS_TOKEN, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT, NATS_KEY. What is typed comes first.
 *
 * @throws BadInput, which never repeats the address: a password may stand in it
 */
export function readAddress(flags: QueueFlags, environment: NodeJS.ProcessEnv = process.env): ServerAddress {
  const url = parsed(flags.queue ?? '')
  return {
    host: url.host,
    authenticator: authenticatorOf(url, flags, environment),
    tls: tlsOf(url, flags, environment),
  }
}

function parsed(text: string): URL {
  const example = 'write for example nats://127.0.0.1:4222'
  const url = URL.parse(text)
  if (url === null) throw new BadInput(`--queue is no address; ${example}`)
  if (!['nats:', 'tls:'].includes(url.protocol) || url.hostname === '')
    throw new BadInput(`--queue: only nats:// and tls:// are known; ${example}`)
  if (!['', '/'].includes(url.pathname) || url.search !== '' || url.hash !== '')
    throw new BadInput(
      `--queue has something behind host and port; write / ? and # in a password as %2F, %3F and %23`,
    )
  return url
}

function authenticatorOf(
  url: URL,
  { creds, nkey }: QueueFlags,
  environment: NodeJS.ProcessEnv,
): Authenticator | null {
  const typed = [
    ...(url.username === '' ? [] : [named(decoded(url.username), decoded(url.password))]),
    ...(creds === undefined ? [] : [fromFile('--creds', creds, ofCreds)]),
    ...(nkey === undefined ? [] : [fromFile('--nkey', nkey, ofNkey)]),
  ]
  if (typed.length > 1)
    throw new BadInput('--creds, --nkey and a name in --queue exclude each other; keep one of them')
  if (typed.length === 1) return typed[0]
  const { NATS_CREDS, NATS_NKEY, NATS_USER, NATS_PASSWORD, NATS_TOKEN } = environment
  if (NATS_CREDS) return fromFile('NATS_CREDS', NATS_CREDS, ofCreds)
  if (NATS_NKEY) return fromFile('NATS_NKEY', NATS_NKEY, ofNkey)
  if (NATS_USER) return usernamePasswordAuthenticator(NATS_USER, NATS_PASSWORD ?? '')
  return NATS_TOKEN ? tokenAuthenticator(NATS_TOKEN) : null
}

/** NATS reads a name without a password as a token. */
function named(name: string, password: string): Authenticator {
  return password === '' ? tokenAuthenticator(name) : usernamePasswordAuthenticator(name, password)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new BadInput('--queue: a % in the name or the password is written as %25')
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const ofCreds = (text: string): Authenticator => credsAuthenticator(bytes(text))
const ofNkey = (text: string): Authenticator => nkeyAuthenticator(bytes(text.trim()))

function fromFile(option: string, file: string, make: (text: string) => Authenticator): Authenticator {
  const authenticator = make(readText(file, LARGEST_SECRET))
  try {
    // It is read when the server asks; a file that cannot be used is better told now.
    authenticator('nonce')
  } catch {
    throw new BadInput(
      `${option} ${file}: this is no such file of NATS; 'nsc generate creds' and 'nk' make them`,
    )
  }
  return authenticator
}

function tlsOf(url: URL, flags: QueueFlags, environment: NodeJS.ProcessEnv): TlsOptions | null {
  const text = (file: string | undefined): string | undefined =>
    file === undefined || file === '' ? undefined : readText(file, LARGEST_SECRET)
  const ca = text(flags.tlsca ?? environment.NATS_CA)
  const cert = text(flags.tlscert ?? environment.NATS_CERT)
  const key = text(flags.tlskey ?? environment.NATS_KEY)
  if ((cert === undefined) !== (key === undefined))
    throw new BadInput('--tlscert and --tlskey belong together; give both')
  if (url.protocol !== 'tls:' && ca === undefined && cert === undefined) return null
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...identityOf(url.hostname.replace(/^\[|\]$/g, '')),
  }
}

/** Whom the certificate must name: where a server is given by its address, Node would compare it with "localhost". */
function identityOf(host: string): object {
  if (isIP(host) === 0) return {}
  return {
    checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate),
  }
}
