/**
 * Owns what a process knows of one shard beside its messages: all changes of its `books`, applied in their order to tables of its own (LMDB, the
 * same as a local log's). It is a copy that can be made again, and it is durable, so that a start reads only what came since.
 *
 * Always true: the tables are what the changes before `folded` come to, whichever process of this machine applied them; what a change came to is found
 * under its id. A change that cannot be (a pass from where the reader is not) is void: it is passed over by everybody.
 * Bounds: those of the tables; results of the newest `RESULTS_KEPT` changes; letters that no pass has named for `STAGED_KEPT` changes are dropped.
 */

import type { Database } from 'lmdb'
import { messageOf } from '../../platform/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import { COMMANDS_MAX } from '../commands.ts'
import { shardOf } from '../entry.ts'
import type { NewDeadLetter } from '../log.ts'
import { LogError } from '../log-error.ts'
import { LocalCommands } from '../tables/commands.ts'
import { DeadLetters } from '../tables/dead-letters.ts'
import { type Environment, openEnvironment } from '../tables/environment.ts'
import { JournalRecords } from '../tables/journal-records.ts'
import { Ledgers } from '../tables/ledgers.ts'
import { Notices } from '../tables/notices.ts'
import { LocalPresence } from '../tables/presence.ts'
import type { SharedSignal } from '../tables/shared-signal.ts'
import { type Change, isKnown, type Pass, readChange } from './change.ts'
import { MemberTable } from './member-table.ts'
import type { StreamRecord } from './streams.ts'

/** Dead letters kept of the whole log; of each shard its part. */
const DEAD_LETTERS_MAX = 1_000_000
const RESULTS_KEPT = 10_000
const STAGED_KEPT = 100_000
const STAGED_LOOK_CHANGES = 10_000
const FOLDED = 'folded'

interface Staged {
  readonly offset: number
  readonly letter: NewDeadLetter
}

interface Kept {
  readonly offset: number
  readonly result: unknown
}

export interface ReplicaOptions {
  readonly directory: string
  readonly log: string
  readonly shard: number
  readonly shards: number
}

export interface ReplicaDependencies {
  /** Told when something was applied. */
  readonly changed: SharedSignal
  readonly logger: Logger
  readonly onFailed: (error: LogError) => void
  /** Records of presence of these devices were changed by others than `asker`. */
  readonly onPresence: (devices: readonly string[]) => void
  readonly asker: string
}

export class Replica {
  readonly environment: Environment
  readonly deadLetters: DeadLetters
  readonly ledgers: Ledgers
  readonly notices: Notices
  readonly presence: LocalPresence
  readonly commands: LocalCommands
  readonly journal: JournalRecords
  readonly members: MemberTable
  readonly #options: ReplicaOptions
  readonly #dependencies: ReplicaDependencies
  readonly #staged: Database<Staged, string>
  readonly #results: Database<Kept, string>
  /** Offset -> the id whose result is kept. */
  readonly #resultIds: Database<string, number>
  /** What a change is judged by. */
  readonly #now = { at: 0 }
  readonly #bounds: { max: number; maxBytes: number }

  static async open(options: ReplicaOptions, dependencies: ReplicaDependencies): Promise<Replica> {
    const id = shardOf(`${options.log}/${options.shard}`, 2 ** 32)
      .toString(16)
      .padStart(8, '0')
    return new Replica(await openEnvironment(options.directory, dependencies.onFailed, id), options, dependencies)
  }

  private constructor(environment: Environment, options: ReplicaOptions, dependencies: ReplicaDependencies) {
    const clock = { now: () => this.#now.at }
    const { changed } = dependencies
    const max = Math.ceil(DEAD_LETTERS_MAX / options.shards)
    this.environment = environment
    this.#options = options
    this.#dependencies = dependencies
    this.#bounds = { max, maxBytes: Number.POSITIVE_INFINITY }
    this.deadLetters = new DeadLetters(environment, this.#bounds, clock)
    this.notices = new Notices(environment, changed, clock)
    this.ledgers = new Ledgers(environment, this.deadLetters, this.notices, { clock, end: () => 0 })
    this.presence = new LocalPresence(environment, () => undefined)
    this.commands = new LocalCommands({
      environment,
      preallocation: { readyFor: async () => undefined },
      changed,
      full: () => undefined,
      max: Math.ceil(COMMANDS_MAX / options.shards),
      clock,
    })
    this.journal = new JournalRecords(environment)
    this.members = new MemberTable(environment)
    this.#staged = environment.root.openDB<Staged, string>({ name: 'staged', encoding: 'msgpack' })
    this.#results = environment.root.openDB<Kept, string>({ name: 'results', encoding: 'msgpack' })
    this.#resultIds = environment.root.openDB<string, number>({ name: 'result-ids', encoding: 'msgpack' })
  }

  /** The offset of the next change to apply. */
  get folded(): number {
    this.environment.root.resetReadTxn()
    return this.#folded()
  }

  /** What the change of this id came to; undefined if it was not applied yet. */
  result(id: string): { readonly result: unknown } | undefined {
    return this.#results.get(id)
  }

  /** Applies those that are not applied; resolves when that is durable. Rejects with `log-corrupt` if one is missing. */
  async fold(records: readonly StreamRecord[]): Promise<void> {
    const { environment } = this
    const { changed, onPresence } = this.#dependencies
    const present: string[] = []
    const applied = environment.root.transaction(() => {
      const before = this.#folded()
      let folded = before
      let failure: LogError | undefined
      for (const record of records) {
        if (record.offset < folded) continue
        failure = record.offset > folded ? this.#missing(folded, record.offset) : this.#take(record, present)
        if (failure !== undefined) break
        folded = record.offset + 1
      }
      if (folded !== before) environment.meta.put(FOLDED, folded)
      return failure
    })
    const error = await environment.durable(applied)
    if (error !== undefined) throw error
    environment.root.resetReadTxn()
    changed.tell()
    if (present.length > 0) onPresence(present)
  }

  async close(): Promise<void> {
    this.notices.close()
    this.commands.close()
    this.journal.stop()
    await this.environment.root.close()
  }

  #folded(): number {
    return Number(this.environment.meta.get(FOLDED) ?? 0)
  }

  #missing(folded: number, offset: number): LogError {
    const lacks = `the books of shard ${this.#options.shard} lack the records from ${folded} to ${offset}`
    return new LogError('log-corrupt', `${lacks}: were they removed by somebody else?`)
  }

  /** Why nothing can be applied any more, if so. */
  #take({ offset, value }: StreamRecord, present: string[]): LogError | undefined {
    const record = readChange(value)
    if (record === undefined) {
      this.#dependencies.logger.error({ offset }, 'a record of the books is none of ours, and is passed over')
      return undefined
    }
    const { id, at, change } = record
    if (!isKnown(change))
      return new LogError('log-failed', `the books have a change of a newer version (${change.kind}): update this one`)
    if (this.#results.get(id) !== undefined) return undefined
    this.#now.at = at
    this.#keep(id, offset, this.#apply(change, id, offset))
    if (change.kind === 'presence' && !id.startsWith(this.#dependencies.asker)) present.push(change.device)
    if (offset % STAGED_LOOK_CHANGES === 0) this.#dropStaged(offset - STAGED_KEPT)
    return undefined
  }

  #keep(id: string, offset: number, result: unknown): void {
    this.#results.put(id, { offset, result })
    this.#resultIds.put(offset, id)
    const old = this.#resultIds.get(offset - RESULTS_KEPT)
    if (old === undefined) return
    this.#results.remove(old)
    this.#resultIds.remove(offset - RESULTS_KEPT)
  }

  #apply(change: Change, id: string, offset: number): unknown {
    switch (change.kind) {
      case 'begin':
        return true
      case 'letter':
        this.#staged.put(id, { offset, letter: change.letter })
        return true
      case 'pass':
        return this.#pass(change)
      case 'replayed':
        return this.#takeOut(change.letters)
      case 'purge':
        return this.deadLetters.purgeNow(change.filter, change.after, change.upTo)
      case 'presence':
        return this.#changePresence(change.device, change.basis, { ...change.record, epoch: offset + 1 })
      case 'command': {
        const added = this.commands.addNow(change.command)
        return added instanceof LogError ? { code: added.code, message: added.message } : { id: added.id }
      }
      case 'commands':
        return this.commands.changeNow(change.device, change.changes).map((command) => command.id)
      case 'expiry':
        return this.commands.expireNow().map((command) => [command.device, command.id])
      case 'noted':
        for (const [name, gathered] of change.gathered) this.journal.keep(name, gathered)
        return true
      case 'beat':
      case 'gone':
      case 'role':
      case 'claim':
        return this.members.apply(change, this.#now.at, offset)
    }
  }

  #pass({ reader, from, progress, letters, lettersBefore, replayed, bytesMax }: Pass): boolean {
    const staged = this.#takeStaged(letters)
    const stagedBefore = this.#takeStaged(lettersBefore)
    if (staged === undefined || stagedBefore === undefined || this.ledgers.next(reader) !== from) return false
    this.#bounds.maxBytes = bytesMax
    try {
      this.ledgers.pass(reader, { ...progress, deadLetters: staged })
    } catch (error) {
      // It is checked before anything is changed.
      this.#dependencies.logger.error({ err: error }, `a pass of the books is void: ${messageOf(error)}`)
      return false
    }
    this.deadLetters.setAside(stagedBefore)
    this.#takeOut(replayed)
    return true
  }

  #takeStaged(ids: readonly string[]): NewDeadLetter[] | undefined {
    const letters: NewDeadLetter[] = []
    for (const id of ids) {
      const staged = this.#staged.get(id)
      if (staged === undefined) continue
      letters.push(staged.letter)
      this.#staged.remove(id)
    }
    return letters.length === ids.length ? letters : undefined
  }

  #dropStaged(before: number): void {
    for (const { key, value } of [...this.#staged.getRange()]) if (value.offset < before) this.#staged.remove(key)
  }

  /** Those that are still there. */
  #takeOut(numbers: readonly number[]): number {
    const letters = numbers.flatMap((number) => this.deadLetters.get(number) ?? [])
    this.deadLetters.remove(letters, 'replayed')
    return letters.length
  }

  #changePresence(device: string, basis: number, record: object & { readonly epoch: number }): number {
    const known = this.environment.presence.get(device) as { readonly epoch?: number } | undefined
    if ((known?.epoch ?? 0) !== basis) return 0
    this.environment.presence.put(device, record)
    return record.epoch
  }
}
