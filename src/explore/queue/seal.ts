import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto'

/**
 * Who may say what on a queue. A job has a random key that its coordinator makes and that workers get with the job: every
 * message about the job carries its HMAC-SHA-256, and what has none was made by somebody who never saw the job. A
 * worker has an Ed25519 key pair of its own beside that, so that no peer can speak in another's name.
 */

/** A new job's key: 256 bits, hex. */
export function newKey(): string {
  return randomBytes(32).toString('hex')
}

/** A text with its HMAC in a line before it. */
export function sealed(key: string, text: string): Uint8Array {
  return new TextEncoder().encode(`${hmac(key, text)}\n${text}`)
}

/** What a message with the right HMAC says; null for any other. */
export function unsealed(key: string, message: Uint8Array): string | null {
  const { first, rest } = firstLine(new TextDecoder().decode(message))
  const [given, right] = [Buffer.from(first), Buffer.from(hmac(key, rest))]
  return given.length === right.length && timingSafeEqual(given, right) ? rest : null
}

function hmac(key: string, text: string): string {
  return createHmac('sha256', Buffer.from(key, 'hex')).update(text).digest('base64url')
}

/** A worker as results name it: what it calls itself, and its public key, base64url. */
export type WorkerName = { readonly name: string; readonly key: string }

export type Worker = WorkerName & { readonly privateKey: KeyObject }

/** A worker with a new pair of Ed25519 keys. */
export function newWorker(name: string): Worker {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  return { name, key: publicKey.export({ format: 'jwk' }).x!, privateKey }
}

/** A text with a worker's signature in a line before it. */
export function signed({ privateKey }: Worker, text: string): string {
  return `${sign(null, Buffer.from(text), privateKey).toString('base64url')}\n${text}`
}

/** A text apart from its signature, which {@link isSignedBy} looks at once the text has said whose it is. */
export function unsigned(text: string): { readonly signature: string; readonly text: string } {
  const { first, rest } = firstLine(text)
  return { signature: first, text: rest }
}

/** Whether a worker's key made the signature. What is no key, or no signature, is false. */
export function isSignedBy({ key }: WorkerName, { signature, text }: ReturnType<typeof unsigned>): boolean {
  try {
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key }, format: 'jwk' })
    return verify(null, Buffer.from(text), publicKey, Buffer.from(signature, 'base64url'))
  } catch {
    // What is no public key has signed nothing.
    return false
  }
}

function firstLine(text: string): { readonly first: string; readonly rest: string } {
  const end = text.indexOf('\n')
  return end === -1 ? { first: text, rest: '' } : { first: text.slice(0, end), rest: text.slice(end + 1) }
}
