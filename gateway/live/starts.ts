/**
 * Owns where a subscription begins: what an app asked for becomes the group it joins and the past it is sent before, or a
 * `Wrong` that says what is not possible.
 */

import type { Log } from '../../log/log.ts'
import { LogError } from '../../log/log-error.ts'
import type { Offset } from '../../log/position.ts'
import type { Clock } from '../../platform/clock.ts'
import { LIVE_GROUPS_MAX } from '../../platform/limits.ts'
import { type Access, outside } from '../access.ts'
import type { Columns } from '../columns.ts'
import { Refusal } from '../refusal.ts'
import { type SubscribeOptions, Wrong } from './commands.ts'
import { type Cursor, formatCursor, parseCursor, type StorePlace, WHOLE } from './cursor.ts'
import type { Subprotocol } from './frames.ts'
import type { Group, Groups, Wanted } from './groups.ts'
import { type LiveEdge, LogPast, type LogPastDependencies, placeOf } from './log-past.ts'
import type { Past } from './past.ts'
import { Snapshot, type SnapshotDependencies } from './snapshot.ts'
import { StorePast } from './store-past.ts'
import type { Tail } from './tail.ts'

/** How far a device's clock may be ahead for its readings to be found among the last ones. */
const CLOCK_AHEAD_MS = 60_000
/** Messages of the log that are read for what was read since a time; if there are more, the store is asked. */
const LIVE_LAST_MESSAGES_MAX = 200_000

export interface StartsDependencies extends LogPastDependencies {
  readonly log: Pick<Log, 'id' | 'shards'>
  readonly groups: Groups
  readonly latest: SnapshotDependencies['latest']
  readonly columns: Columns
  readonly clock: Clock
  readonly tail: LiveEdge & Pick<Tail, 'keepTime' | 'live'>
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
  wanted(options: SubscribeOptions, access: Access, protocol: Subprotocol): Wanted {
    const isRaw = protocol === 'telltale.v1.avro'
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
      ...(protocol === 'telltale.v1.protobuf' && { isProtobuf: true }),
    }
  }

  /**
   * Resolves with what joins the group and makes its past, at the instant at which that is called; rejects with a `Wrong`. While the
   * tail warms up there is no place to begin at: it is waited for. Rejects with a `Refusal` if the gateway stops before.
   */
  async begin({ start }: SubscribeOptions, wanted: Wanted, access: Access): Promise<() => Begun> {
    if (!(await this.#dependencies.tail.live())) throw new Refusal('not-ready', 'the gateway is stopping')
    const join = (pastOf: (group: Group) => Past | undefined) => () => this.join(wanted, pastOf)
    if (start === 'now') return join((group) => this.#fromNow(group, access))
    if (start === 'latest') return join((group) => this.#snapshot(group, access))
    if ('lastMs' in start) return join(await this.#since(this.#dependencies.clock.now() - start.lastMs, access))
    const from = await this.#after(start.after)
    const { within } = from
    if (within === 'latest') return join((group) => this.#snapshot(group, access))
    if (within !== undefined) return join((group) => this.#storePast(group, within, access, from))
    return join((group) => this.#logPast(group, from, access))
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
  behind(group: Group, access: Access): () => Past {
    const { tail } = this.#dependencies
    const from = placeOf(group, tail)
    return () => new LogPast(group, { from, reason: 'slow', access, fill: this.#fillFor(access) }, this.#dependencies)
  }

  /** Of a group whose readings wait for the end of a window, some were before now. */
  #fromNow(group: Group, access: Access): Past | undefined {
    return group.wanted.rate === undefined ? undefined : this.#logPast(group, this.#dependencies.tail.place, access)
  }

  #snapshot(group: Group, access: Access): Past {
    const { latest, log, tail, feeds } = this.#dependencies
    return new Snapshot(group, {
      latest,
      tagsOf: feeds.tagsOf,
      cursor: () => formatCursor(log, { ...tail.place, within: 'latest' }),
      rest: (member) => this.#fromNow(member, access),
    })
  }

  #logPast(group: Group, from: Cursor, access: Access, since?: number): Past {
    const fill = this.#fillFor(access)
    const options = { from, reason: 'retention', access, fill, ...(since !== undefined && { since }) } as const
    return new LogPast(group, options, this.#dependencies)
  }

  #fillFor(access: Access): (group: Group, lost: StorePlace, rest: Cursor) => Past {
    return (group, lost, rest) => this.#storePast(group, lost, access, rest)
  }

  #storePast(group: Group, from: StorePlace, access: Access, rest?: Cursor): Past {
    return new StorePast(group, { from, access, ...(rest && { rest }) }, this.#dependencies)
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

  /** What was read since a time is read from the log, if it reaches back so far and is not too long; else from the store first. */
  async #since(since: number, access: Access): Promise<(group: Group) => Past> {
    const { log, tail } = this.#dependencies
    const receivedAt = since - CLOCK_AHEAD_MS
    const { position: end } = tail.place
    let messages = 0
    let isWhole = true
    const position: Offset[] = []
    for (const [index, shard] of log.shards.entries()) {
      const [first, found] = [await shard.first(), await shard.at(receivedAt)]
      // Of what came after the look the tail knows best.
      const { [index]: last = found } = end
      position.push(Math.min(found, last) as Offset)
      messages += last - (position[index] ?? last)
      // If nothing was ever removed, what the log does not hold never was.
      isWhole &&= found > first || first === 0
    }
    if (isWhole && messages <= LIVE_LAST_MESSAGES_MAX) {
      return (group) => this.#logPast(group, { position, part: WHOLE, receivedAt }, access, since)
    }
    return (group) => this.#storePast(group, { since }, access)
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
