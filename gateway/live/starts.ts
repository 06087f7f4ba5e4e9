/**
 * Owns where a subscription begins: what an app asked for becomes the group it joins and the past it is sent before, or a
 * `Wrong` that says what is not possible.
 */

import type { Log } from '../../log/log.ts'
import { LogError } from '../../log/log-error.ts'
import type { Clock } from '../../platform/clock.ts'
import { LIVE_GROUPS_MAX } from '../../platform/limits.ts'
import { type Access, outside } from '../access.ts'
import type { Columns } from '../columns.ts'
import { type SubscribeOptions, Wrong } from './commands.ts'
import { type Cursor, formatCursor, parseCursor, WHOLE } from './cursor.ts'
import type { Group, Groups, Wanted } from './groups.ts'
import { type LiveEdge, LogPast, type LogPastDependencies, placeOf } from './log-past.ts'
import type { Past } from './past.ts'
import { Snapshot, type SnapshotDependencies } from './snapshot.ts'

/** How far a device's clock may be ahead for its readings to be found among the last ones. */
const CLOCK_AHEAD_MS = 60_000

export interface StartsDependencies extends LogPastDependencies {
  readonly log: Pick<Log, 'id' | 'shards'>
  readonly groups: Groups
  readonly latest: SnapshotDependencies['latest']
  readonly columns: Columns
  readonly clock: Clock
  readonly tail: LiveEdge & { readonly keepTime: () => void }
}

/** A group that was joined, and what its new member is sent before it is live. */
export interface Begun {
  readonly group: Group
  readonly past: Past | undefined
}

export class Starts {
  readonly #dependencies: StartsDependencies

  constructor(dependencies: StartsDependencies) {
    this.#dependencies = dependencies
  }

  /** Throws a `Wrong` for what the token does not allow, and for names that are none. */
  wanted(options: SubscribeOptions, access: Access, isRaw: boolean): Wanted {
    const { filters, selections, fields, rate, maxDelayMs } = options
    for (const [index, selection] of selections.entries()) {
      if (!access.covers(selection)) throw new Wrong('forbidden', outside(filters[index] ?? ''))
    }
    if (isRaw && (fields ?? rate ?? maxDelayMs) !== undefined) {
      throw new Wrong(
        'unsupported',
        'fields, maxRate and maxDelay need decoded readings: use the subprotocol telltale.v1',
      )
    }
    const { columns } = this.#dependencies
    const names = new Set(selections.flatMap((selection) => [...columns.namesOf(selection)]))
    const unknown = fields?.find((field) => !names.has(field))
    if (unknown !== undefined) {
      const allowed = [...names].sort().join(', ')
      throw new Wrong('bad-field', `fields has ${JSON.stringify(unknown)}: allowed is ${allowed}`)
    }
    return {
      selections,
      ...(fields && { fields }),
      ...(rate && { rate }),
      ...(maxDelayMs !== undefined && { maxDelayMs }),
      ...(isRaw && { isRaw }),
    }
  }

  /** Resolves with what joins the group and makes its past, at the instant at which that is called; rejects with a `Wrong`. */
  async begin({ start }: SubscribeOptions, wanted: Wanted): Promise<() => Begun> {
    if (start === 'now') return () => this.join(wanted, (group) => this.#fromNow(group))
    if (start === 'latest') return () => this.join(wanted, (group) => this.#snapshot(group))
    const from = 'after' in start ? await this.#after(start.after) : await this.#last(start.lastMs)
    if (from.isInSnapshot) return () => this.join(wanted, (group) => this.#snapshot(group))
    const since = 'lastMs' in start ? { since: this.#dependencies.clock.now() - start.lastMs } : {}
    return () => this.join(wanted, (group) => this.#logPast(group, from, since))
  }

  /** Throws a `Wrong` if there are too many. */
  join(wanted: Wanted, pastOf: (group: Group) => Past | undefined): Begun {
    const { groups, tail, clock } = this.#dependencies
    const group = groups.join(wanted)
    if (group === undefined) {
      throw new Wrong(
        'too-many-groups',
        `apps have ${LIVE_GROUPS_MAX} distinct subscriptions: no more are taken just now`,
      )
    }
    if (group.members === 1) group.publishedAt = clock.now()
    if (wanted.rate !== undefined) tail.keepTime()
    return { group, past: pastOf(group) }
  }

  /** The text of the place after all that was sent to the group. */
  cursorOf(group: Group): string {
    const { log, tail } = this.#dependencies
    return formatCursor(log, placeOf(group, tail))
  }

  /** What a member of the group that leaves it at this instant is sent when it takes frames again. */
  behind(group: Group): () => Past {
    const { tail } = this.#dependencies
    const from = placeOf(group, tail)
    return () => new LogPast(group, { from, reason: 'slow' }, this.#dependencies)
  }

  /** Of a group whose readings wait for the end of a window, some were before now. */
  #fromNow(group: Group): Past | undefined {
    const { tail } = this.#dependencies
    return group.wanted.rate === undefined ? undefined : this.#logPast(group, tail.place, {})
  }

  #snapshot(group: Group): Past {
    const { latest, log, tail, feeds } = this.#dependencies
    return new Snapshot(group, {
      latest,
      tagsOf: feeds.tagsOf,
      cursor: () => formatCursor(log, { ...tail.place, isInSnapshot: true }),
      rest: (member) => this.#fromNow(member),
    })
  }

  #logPast(group: Group, from: Cursor, options: { readonly since?: number }): Past {
    return new LogPast(group, { from, reason: 'retention', ...options }, this.#dependencies)
  }

  async #after(text: string): Promise<Cursor> {
    const { log, tail } = this.#dependencies
    const cursor = readCursor(log, text)
    for (const [shard, offset] of cursor.position.entries()) {
      if (offset <= (tail.place.position[shard] ?? 0)) continue
      // Another process may have sent what this one has not come to.
      const end = await log.shards[shard]?.end()
      if (end === undefined || offset > end) {
        throw new Wrong(
          'bad-cursor',
          'the cursor lies past the end of the log, which is of an earlier state: a backup?',
        )
      }
    }
    return cursor
  }

  async #last(lastMs: number): Promise<Cursor> {
    const { log, clock, tail } = this.#dependencies
    const receivedAt = clock.now() - lastMs - CLOCK_AHEAD_MS
    const found = await Promise.all(log.shards.map((shard) => shard.at(receivedAt)))
    // Of what came after the look the tail knows best.
    const position = found.map(
      (offset, shard) => Math.min(offset, tail.place.position[shard] ?? offset) as typeof offset,
    )
    return { position, part: WHOLE, receivedAt }
  }
}

function readCursor(log: StartsDependencies['log'], text: string): Cursor {
  try {
    return parseCursor(log, text)
  } catch (error) {
    if (error instanceof LogError) throw new Wrong('bad-cursor', `after is ${JSON.stringify(text)}: ${error.message}`)
    throw error
  }
}
