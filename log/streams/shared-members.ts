/**
 * Owns this process's place among those that share the log, what it plays and claims, and noticing that another is gone.
 *
 *   start() --beat--> there --a beat of ours finds that the others took us for gone--> there, under another name
 *                       |--leave()--> gone, at once
 *
 * Always true: nobody is taken for gone while we do not hear of ourselves, so one that was stopped, or cut off, does not take the others for that:
 * another is gone when `BEATS_MISSED` beats of ours came back with none of its between them. No clock is compared.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../../platform/logger.ts'
import type { Claims } from '../log.ts'
import { LogError } from '../log-error.ts'
import { LEASE_MS, type Members } from '../members.ts'
import type { PlayedRole, Role, Roles } from '../roles.ts'
import type { SharedSignal } from '../tables/shared-signal.ts'
import type { Books } from './books.ts'
import type { Member, MemberTable } from './member-table.ts'

const BEATS_MISSED = 4
const BEAT_MS = LEASE_MS / BEATS_MISSED
/** Others count beats of theirs, and one may come a little early. */
const HEARD_MS = LEASE_MS - BEAT_MS

export interface SharedMembersDependencies {
  /** Of shard 0. */
  readonly books: Books
  readonly table: () => MemberTable
  readonly changed: SharedSignal
  /** Names this process among all that ever were. */
  readonly asker: string
  /** In words that a person finds it by. */
  readonly process: string
  readonly logger: Logger
}

export class SharedMembers implements Members, Claims, Roles {
  readonly isShared = true
  readonly #deps: SharedMembersDependencies
  readonly #stopping = new AbortController()
  readonly #played = new Set<Role>()
  /** Of the others, the beat that was seen last, and how many of ours have come back since. */
  readonly #heard = new Map<string, { beat: number; missed: number }>()
  readonly #foundGone: PlayedRole[] = []
  #names = 0
  /** When the last beat that came back was asked for, by `performance.now`. */
  #heardAt = Number.NEGATIVE_INFINITY
  #beating: Promise<void> = Promise.resolve()

  constructor(deps: SharedMembersDependencies) {
    this.#deps = deps
  }

  get self(): string {
    return this.#names === 0 ? this.#deps.asker : `${this.#deps.asker}.${this.#names}`
  }

  get isHeard(): boolean {
    return performance.now() - this.#heardAt < HEARD_MS
  }

  async start(): Promise<void> {
    await this.#beat()
    this.#beating = this.#keepBeating()
  }

  /** Beats no more: the others find out. */
  stop(): void {
    this.#stopping.abort()
  }

  /** The others know at once. */
  async leave(): Promise<void> {
    this.stop()
    await this.#beating
    const { books, table } = this.#deps
    const self = table().all()[this.self]
    if (self !== undefined) await books.ask({ kind: 'gone', member: this.self, beat: self.beat })
  }

  isThere(member: string): boolean {
    const all = this.#deps.table().all()
    const known = Object.hasOwn(all, member) ? all[member] : undefined
    return known !== undefined && known.goneAt === undefined
  }

  async *followGone(signal: AbortSignal): AsyncGenerator<string> {
    const { changed, table } = this.#deps
    const ending = AbortSignal.any([signal, this.#stopping.signal])
    const wake = () => changed.raise()
    ending.addEventListener('abort', wake, { once: true })
    const goneNow = () => Object.entries(table().all()).filter(([, { goneAt }]) => goneAt !== undefined)
    const told = new Set(goneNow().map(([name]) => name))
    while (!ending.aborted) {
      const seen = changed.raised
      const gone = goneNow().map(([name]) => name)
      for (const name of told) if (!gone.includes(name)) told.delete(name)
      for (const name of gone) {
        if (told.has(name)) continue
        told.add(name)
        yield name
      }
      await changed.wait(seen)
    }
  }

  async claim(name: string): Promise<boolean> {
    // Whoever stands by asks again and again.
    const holder = this.#deps.table().holder(name)
    if (holder !== undefined && holder !== this.self && this.isThere(holder)) return false
    return (await this.#deps.books.ask({ kind: 'claim', name, member: this.self, isReleased: false })) === true
  }

  async release(name: string): Promise<void> {
    await this.#deps.books.ask({ kind: 'claim', name, member: this.self, isReleased: true })
  }

  async begin(role: Role): Promise<void> {
    this.#played.add(role)
    await this.#deps.books.ask({ kind: 'role', member: this.self, role, isPlayed: true })
  }

  async end(role: Role): Promise<void> {
    this.#played.delete(role)
    await this.#deps.books.ask({ kind: 'role', member: this.self, role, isPlayed: false })
  }

  all(): readonly PlayedRole[] {
    return Object.entries(this.#deps.table().all()).flatMap(([name, member]) => rolesOf(name, member))
  }

  async noteGone(): Promise<readonly PlayedRole[]> {
    return this.#foundGone.splice(0)
  }

  async #keepBeating(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await delay(BEAT_MS, undefined, { signal, ref: false }).catch(() => undefined)
      if (signal.aborted) return
      try {
        await this.#beat()
        await this.#look()
      } catch (error) {
        // The log is being closed, or so much waits for it that this must not: the next one says the same.
        if (!(error instanceof LogError)) throw error
      }
    }
  }

  async #beat(): Promise<void> {
    const { books, process, logger } = this.#deps
    let askedAt = performance.now()
    while ((await books.ask({ kind: 'beat', member: this.self, process })) !== true) {
      logger.error('this process was not heard of for so long that the others took it for gone: it begins anew')
      this.#names++
      this.#heard.clear()
      askedAt = performance.now()
    }
    this.#heardAt = askedAt
    const known = this.#deps.table().all()[this.self]
    for (const role of this.#played) if (!known?.roles.some((each) => each.role === role)) await this.begin(role)
  }

  /** Who was not heard of between our own beats. */
  async #look(): Promise<void> {
    const { books, table, logger } = this.#deps
    const all = table().all()
    for (const name of this.#heard.keys()) if (!Object.hasOwn(all, name)) this.#heard.delete(name)
    for (const [name, member] of Object.entries(all)) {
      if (member.goneAt !== undefined || name === this.self) {
        this.#heard.delete(name)
        continue
      }
      const heard = this.#heard.get(name)
      const missed = heard?.beat === member.beat ? heard.missed + 1 : 0
      this.#heard.set(name, { beat: member.beat, missed })
      if (missed < BEATS_MISSED) continue
      if ((await books.ask({ kind: 'gone', member: name, beat: member.beat })) !== true) continue
      logger.warn(`${member.process} is not heard of any more`)
      this.#foundGone.push(...rolesOf(name, { ...member, goneAt: table().all()[name]?.goneAt ?? 0 }))
    }
  }
}

function rolesOf(member: string, { process, roles, goneAt }: Member): PlayedRole[] {
  const gone = goneAt !== undefined && { goneAt }
  return roles.map(({ role, since }) => ({ role, since, member, process, isRunning: goneAt === undefined, ...gone }))
}
