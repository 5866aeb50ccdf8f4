import { absolutePath, isWithin } from './path.ts'
import { MOST_PAYLOAD, QUOTA } from './quotas.ts'
import { Refused } from './refused.ts'

/** A watch: the path that it is about, as it was given, and the word by which the guest knows it. */
export type Watch = { readonly path: string; readonly token: string; readonly isRelative: boolean }

/** The watches of one guest. Xen: xenstored_watch.c. */
export class Watches {
  private readonly home: string
  private list: Watch[] = []

  constructor(home: string) {
    this.home = home
  }

  save(): readonly Watch[] {
    return this.list.map((watch) => ({ ...watch }))
  }

  restore(watches: readonly Watch[]): void {
    this.list = watches.map((watch) => ({ ...watch }))
  }

  /** Set one. Returns the event by which it goes off at once. */
  add(given: string, token: string): string {
    // What begins with @ is an event of the machine's, of which a guest without rights to it is never told.
    const isSpecial = given.startsWith('@')
    if (isSpecial && given.length > QUOTA.path) throw new Refused('EINVAL')
    const path = isSpecial ? given : absolutePath(given, this.home)
    if (this.list.some((watch) => watch.path === path && watch.token === token)) throw new Refused('EEXIST')
    if (this.list.length >= QUOTA.watches) throw new Refused('E2BIG')
    const watch = { path, token, isRelative: !isSpecial && !given.startsWith('/') }
    this.list.push(watch)
    return this.event(watch, path)
  }

  remove(given: string, token: string): void {
    const path = given.startsWith('/') || given.startsWith('@') ? given : `${this.home}/${given}`
    const left = this.list.filter((watch) => watch.path !== path || watch.token !== token)
    if (left.length === this.list.length) throw new Refused('ENOENT')
    this.list = left
  }

  clear(): void {
    this.list = []
  }

  /**
   * The events of a change: for watches of that path, and, unless it is only about that, of those above it. One that does not
   * fit into a message is none.
   */
  eventsOf(path: string, exact: boolean): string[] {
    return this.list
      .filter((watch) => (exact ? path === watch.path : isWithin(path, watch.path)))
      .map((watch) => this.event(watch, path))
      .filter((event) => event.length <= MOST_PAYLOAD)
  }

  /** A watch that was set with a relative path tells relative ones. */
  private event({ token, isRelative }: Watch, path: string): string {
    return `${isRelative ? path.slice(this.home.length + 1) : path}\0${token}\0`
  }
}
