import type { Random } from '../test/tools/random.ts'

/**
 * One thing to fuzz: where inputs come from, and what is done with one. An input is bytes, so that any of them is a file of
 * the corpus. What a run may come to is a result or `BadInput`; whatever else it throws is a finding.
 */
export type Target = {
  readonly name: string
  /** Names of several targets together, such as `formats`. */
  readonly group: string
  /** What is attacked, in a line. */
  readonly about: string
  /** What has to be made before the first input, where that takes long. */
  prepare?(): Promise<void>
  /** Inputs that every run begins with: plain good ones, from which `make` usually starts. */
  seeds(): readonly Uint8Array[]
  /** The same input for the same random numbers. */
  make(random: Random): Uint8Array
  /**
   * Do it. What comes of it is told in words, which are the same each time for the same input: now and then an input is run
   * twice. Throws `Wrong` for what is wrong though nothing was thrown.
   */
  run(input: Uint8Array): string | Promise<string>
  /** What an input is made of, for whoever makes it smaller. */
  readonly cut: 'lines' | 'bytes'
  /** Seconds of processor time that one input may take; 5 when nothing is said. */
  readonly seconds?: number
  /** MiB that the process may have; 1500 when nothing is said. */
  readonly mib?: number
}

/** Something that must never be, found by a target itself. `kind` is the same for findings that are alike. */
export class Wrong extends Error {
  override name = 'Wrong'
  readonly kind: string

  constructor(kind: string, message: string) {
    super(message)
    this.kind = kind
  }
}

export function secondsOf({ seconds = 5 }: Target): number {
  return seconds
}

export function mibOf({ mib = 1500 }: Target): number {
  return mib
}

/** A process that has such a part of what it may have is replaced, before an input is blamed for what came before it. */
export const WORN = 0.5

/** An input of text. */
export function textInput(text: string): Uint8Array {
  return Buffer.from(text)
}

export function inputText(input: Uint8Array): string {
  return Buffer.from(input).toString('utf8')
}
