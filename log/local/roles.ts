/**
 * Owns the records of roles in a local log: one in `meta` for each role and process, which names the process as a lock does (`lock.ts`).
 *
 * Bound: the processes that have the log open, and of those that are gone the ones since a role was last begun.
 */

import type { Clock } from '../../platform/clock.ts'
import type { PlayedRole, Role, Roles } from '../roles.ts'
import type { Environment } from '../tables/environment.ts'
import { type Holder, isAlive, thisProcess } from '../tables/lock.ts'

const KEYS = 'role '
const AFTER_KEYS = 'role!'

interface Kept extends Holder {
  readonly role: Role
  readonly since: number
  readonly goneAt?: number
}

export class LocalRoles implements Roles {
  readonly #environment: Environment
  readonly #clock: Clock

  constructor(environment: Environment, clock: Clock) {
    this.#environment = environment
    this.#clock = clock
  }

  async begin(role: Role): Promise<void> {
    const { meta, durable } = this.#environment
    const kept: Kept = { ...thisProcess(), role, since: this.#clock.now() }
    await durable(
      meta.transaction(() => {
        for (const [key, other] of this.#kept()) if (other.role === role && !isRunning(other)) meta.remove(key)
        meta.put(keyOf(role), JSON.stringify(kept))
      }),
    )
  }

  async end(role: Role): Promise<void> {
    const { meta, durable } = this.#environment
    await durable(meta.remove(keyOf(role)))
  }

  all(): readonly PlayedRole[] {
    this.#environment.root.resetReadTxn()
    return this.#kept().map(([, kept]) => playedBy(kept))
  }

  async noteGone(): Promise<readonly PlayedRole[]> {
    const isNew = (kept: Kept) => kept.goneAt === undefined && !isRunning(kept)
    this.#environment.root.resetReadTxn()
    if (!this.#kept().some(([, kept]) => isNew(kept))) return []
    const { meta, durable } = this.#environment
    const found: PlayedRole[] = []
    await durable(
      meta.transaction(() => {
        for (const [key, kept] of this.#kept().filter(([, each]) => isNew(each))) {
          const gone: Kept = { ...kept, goneAt: this.#clock.now() }
          meta.put(key, JSON.stringify(gone))
          found.push(playedBy(gone))
        }
      }),
    )
    return found
  }

  #kept(): (readonly [key: string, kept: Kept])[] {
    const { meta } = this.#environment
    return Array.from(meta.getRange({ start: KEYS, end: AFTER_KEYS }), ({ key, value }) => [
      key,
      JSON.parse(String(value)) as Kept,
    ])
  }
}

const keyOf = (role: Role) => `${KEYS}${role} ${process.pid}`

/** One that was seen gone has not come back: its id is another's. */
const isRunning = (kept: Kept) => kept.goneAt === undefined && (kept.pid === process.pid || isAlive(kept))

function playedBy(kept: Kept): PlayedRole {
  const { role, since, goneAt } = kept
  const process = `process ${kept.pid}`
  return { role, member: process, process, since, isRunning: isRunning(kept), ...(goneAt !== undefined && { goneAt }) }
}
