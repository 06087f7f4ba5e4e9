/**
 * Owns the commands to devices in a local log's directory, in one database with five kinds of keys, so that none is looked for:
 *
 *   [0, device, number] -> its record      [1, number] -> its payload           [2, ending] -> whose it is, of one that is over
 *   [3, expiresAt, number] -> device, of one that is not over                   [4, news] -> device with a command that is new or cancelled
 *
 * Always true: they and the counts under `meta` change in one transaction. Any process of the host changes them.
 * Bounds: see `log/commands.ts`; while the log is full none is added. Of the news the newest `NEWS_MAX` are kept: a follower that is further
 * behind is told so.
 */

import type { Clock } from '../../platform/clock.ts'
import {
  COMMAND_STATES,
  COMMANDS_BYTES_MAX,
  COMMANDS_MAX,
  COMMANDS_PER_DEVICE_BYTES_MAX,
  COMMANDS_PER_DEVICE_MAX,
  type Command,
  type CommandChange,
  type CommandCounts,
  type CommandState,
  type Commands,
  changed,
  ENDED_PER_DEVICE_MAX,
  isOver,
  type NewCommand,
} from '../commands.ts'
import { LogError } from '../log-error.ts'
import type { Environment } from './environment.ts'
import type { SharedSignal } from './shared-signal.ts'

const NEWS_MAX = 1_000
/** Ended by one transaction. */
const EXPIRED_AT_ONCE_MAX = 1_000
/** What a command is counted as beside its payload. */
const COMMAND_OVERHEAD_BYTES = 512

const OF_DEVICE = 0
const PAYLOAD = 1
const ENDED = 2
const EXPIRY = 3
const NEWS = 4
const LAST = Number.MAX_SAFE_INTEGER
const TOTALS = 'commands'
const ID = /^([0-9a-f]{8})-([0-9a-z]{1,11})$/

/** As it is kept: what its key says is left out, and the payload, for that never changes. */
interface Kept extends Omit<Command, 'id' | 'device' | 'payload'> {
  readonly bytes: number
  /** Its place among those that are over. */
  readonly ending?: number
}

interface Totals {
  /** The newest numbers given; 0 for none. */
  last: number
  endings: number
  news: number
  kept: number
  keptBytes: number
  open: number
  states: Record<CommandState, number>
}

export interface LocalCommandsDependencies {
  readonly environment: Environment
  readonly preallocation: { readyFor(bytes: number): Promise<void> }
  /** Told of news, among other things. */
  readonly changed: SharedSignal
  /** Why the log is full; undefined while it is not. */
  readonly full: () => LogError | undefined
  /** In place of `COMMANDS_MAX`. */
  readonly max: number | undefined
  readonly clock: Clock
}

export class LocalCommands implements Commands {
  readonly #dependencies: LocalCommandsDependencies
  readonly #commands: Environment['commands']
  readonly #max: number
  #isClosed = false

  constructor(dependencies: LocalCommandsDependencies) {
    this.#dependencies = dependencies
    this.#commands = dependencies.environment.commands
    this.#max = dependencies.max ?? COMMANDS_MAX
  }

  async add(command: NewCommand): Promise<Command> {
    const { environment, preallocation, changed, full } = this.#dependencies
    const why = full()
    if (why !== undefined) throw why
    await preallocation.readyFor(sizeOf(command.payload))
    const added = await environment.durable(environment.root.transaction(() => this.addNow(command)))
    if (added instanceof LogError) throw added
    changed.tell()
    return added
  }

  of(device: string): Command[] {
    this.#refresh()
    return this.#of(device).map(([number, kept]) => this.#command(device, number, kept))
  }

  async change(device: string, changes: readonly CommandChange[]): Promise<Command[]> {
    const { environment, changed } = this.#dependencies
    const done = await environment.durable(environment.root.transaction(() => this.changeNow(device, changes)))
    if (done.some(({ state }) => state === 'cancelled')) changed.tell()
    return done
  }

  async expire(): Promise<Command[]> {
    const { environment } = this.#dependencies
    if ((this.nextExpiry() ?? LAST) > this.#dependencies.clock.now()) return []
    return environment.durable(environment.root.transaction(() => this.expireNow()))
  }

  nextExpiry(): number | undefined {
    this.#refresh()
    for (const [, expiresAt] of this.#commands.getKeys({ start: [EXPIRY], end: [NEWS], limit: 1 })) {
      return Number(expiresAt)
    }
    return undefined
  }

  async *follow(signal: AbortSignal): AsyncGenerator<string | undefined> {
    const { changed } = this.#dependencies
    signal.addEventListener('abort', () => changed.raise(), { once: true })
    this.#refresh()
    let last = this.#totals().news
    let quiet = 0
    while (!signal.aborted && !this.#isClosed) {
      const seen = changed.raised
      this.#refresh()
      const found = [...this.#commands.getRange({ start: [NEWS, last + 1], end: [NEWS, LAST] })]
      for (const { key, value } of found) {
        const number = Number(key[1])
        if (number !== last + 1) yield undefined
        last = number
        yield String(value)
      }
      if (found.length === 0) await changed.waitOrLook(seen, quiet++)
      else quiet = 0
    }
  }

  counts(): CommandCounts {
    const { states, open } = this.#totals()
    return { ...states, open }
  }

  close(): void {
    this.#isClosed = true
  }

  /** Only within a transaction, as all that follows. */
  addNow({ device, payload, expiresAt }: NewCommand): Command | LogError {
    const createdAt = this.#dependencies.clock.now()
    const bytes = sizeOf(payload)
    const totals = this.#totals()
    const open = this.#of(device).filter(([, kept]) => !isOver(kept) && kept.expiresAt > createdAt)
    const openBytes = open.reduce((sum, [, kept]) => sum + kept.bytes, 0)
    if (open.length >= COMMANDS_PER_DEVICE_MAX || openBytes + bytes > COMMANDS_PER_DEVICE_BYTES_MAX) {
      const have = `${open.length} commands (${openBytes} bytes) wait for ${device}`
      const most = `${COMMANDS_PER_DEVICE_MAX} (${COMMANDS_PER_DEVICE_BYTES_MAX} bytes)`
      return new LogError(
        'device-commands-full',
        `${have}: allowed are ${most}; cancel some, or wait until it has them`,
      )
    }
    if (!this.#makeRoom(totals, bytes)) {
      return new LogError('commands-full', `as many commands wait for devices as may: ${totals.kept}`)
    }
    const number = ++totals.last
    const kept: Kept = { state: 'waiting', createdAt, expiresAt, sends: 0, bytes }
    this.#commands.put([PAYLOAD, number], Buffer.from(payload))
    this.#commands.put([EXPIRY, expiresAt, number], device)
    this.#commands.put([OF_DEVICE, device, number], kept)
    totals.kept++
    totals.keptBytes += bytes
    totals.open++
    totals.states.waiting++
    this.#tell(totals, device)
    this.#put(totals)
    return this.#command(device, number, kept)
  }

  changeNow(device: string, changes: readonly CommandChange[]): Command[] {
    const totals = this.#totals()
    const at = this.#dependencies.clock.now()
    const done: Command[] = []
    for (const change of changes) {
      const number = this.#numberOf(change.id)
      const kept = number === undefined ? undefined : this.#kept(device, number)
      if (number === undefined || kept === undefined) continue
      const after = changed(this.#command(device, number, kept), change, at)
      if (after === undefined) continue
      done.push(after)
      this.#become(totals, device, number, kept, after)
      if (after.state === 'cancelled') this.#tell(totals, device)
    }
    if (done.length > 0) this.#put(totals)
    return done
  }

  expireNow(): Command[] {
    const totals = this.#totals()
    const now = this.#dependencies.clock.now()
    const range = { start: [EXPIRY], end: [EXPIRY, now, LAST], limit: EXPIRED_AT_ONCE_MAX }
    const done: Command[] = []
    for (const { key, value } of [...this.#commands.getRange(range)]) {
      const device = String(value)
      const number = Number(key[2])
      const kept = this.#kept(device, number)
      if (kept === undefined) continue
      const expired: Command = { ...this.#command(device, number, kept), state: 'expired', endedAt: now }
      done.push(expired)
      this.#become(totals, device, number, kept, expired)
    }
    if (done.length > 0) this.#put(totals)
    return done
  }

  #become(totals: Totals, device: string, number: number, before: Kept, after: Command): void {
    const { id: _id, device: _device, payload: _payload, ...rest } = after
    const wasOver = isOver(before)
    totals.states[before.state]--
    totals.states[after.state]++
    let { ending } = before
    if (!wasOver && isOver(after)) {
      ending = ++totals.endings
      totals.open--
      this.#commands.remove([EXPIRY, before.expiresAt, number])
      this.#commands.put([ENDED, ending], [device, number])
    }
    this.#commands.put([OF_DEVICE, device, number], {
      ...rest,
      bytes: before.bytes,
      ...(ending !== undefined && { ending }),
    } satisfies Kept)
    if (wasOver || ending === undefined) return
    const over = this.#of(device).filter(([, kept]) => isOver(kept))
    over.sort(([, a], [, b]) => (a.ending ?? 0) - (b.ending ?? 0))
    for (const [old, kept] of over.slice(0, Math.max(0, over.length - ENDED_PER_DEVICE_MAX))) {
      this.#forget(totals, device, old, kept)
    }
  }

  /** What is over longest goes, as far as it must; false if that is not enough. */
  #makeRoom(totals: Totals, bytes: number): boolean {
    const isFull = () => totals.kept >= this.#max || totals.keptBytes + bytes > COMMANDS_BYTES_MAX
    while (isFull()) {
      const [oldest] = [...this.#commands.getRange({ start: [ENDED], end: [EXPIRY], limit: 1 })]
      if (oldest === undefined) return false
      const [device, number] = oldest.value as [string, number]
      const kept = this.#kept(device, number)
      if (kept === undefined) this.#commands.remove(oldest.key)
      else this.#forget(totals, device, number, kept)
    }
    return true
  }

  #forget(totals: Totals, device: string, number: number, { ending = 0, bytes }: Kept): void {
    this.#commands.remove([OF_DEVICE, device, number])
    this.#commands.remove([PAYLOAD, number])
    this.#commands.remove([ENDED, ending])
    totals.kept--
    totals.keptBytes -= bytes
  }

  #tell(totals: Totals, device: string): void {
    totals.news++
    this.#commands.put([NEWS, totals.news], device)
    this.#commands.remove([NEWS, totals.news - NEWS_MAX])
  }

  #of(device: string): [number, Kept][] {
    const range = this.#commands.getRange({ start: [OF_DEVICE, device], end: [OF_DEVICE, device, LAST] })
    return [...range].map(({ key, value }) => [Number(key[2]), value as Kept])
  }

  #kept(device: string, number: number): Kept | undefined {
    return this.#commands.get([OF_DEVICE, device, number]) as Kept | undefined
  }

  #command(device: string, number: number, { bytes: _bytes, ending: _ending, ...rest }: Kept): Command {
    const payload = this.#commands.get([PAYLOAD, number]) as Uint8Array
    return { id: `${this.#dependencies.environment.logId}-${number.toString(36)}`, device, payload, ...rest }
  }

  /** Undefined for one that is none of this log's. */
  #numberOf(id: string): number | undefined {
    const [, logId, number = ''] = ID.exec(id) ?? []
    return logId === this.#dependencies.environment.logId ? Number.parseInt(number, 36) : undefined
  }

  #totals(): Totals {
    const totals = this.#dependencies.environment.meta.get(TOTALS) as Totals | undefined
    const none = Object.fromEntries(COMMAND_STATES.map((state) => [state, 0])) as Totals['states']
    return totals ?? { last: 0, endings: 0, news: 0, kept: 0, keptBytes: 0, open: 0, states: none }
  }

  #put(totals: Totals): void {
    this.#dependencies.environment.meta.put(TOTALS, totals)
  }

  /** A read transaction otherwise lasts for the event turn. */
  #refresh(): void {
    if (this.#isClosed) throw new LogError('log-failed', 'the log is not open')
    this.#dependencies.environment.root.resetReadTxn()
  }
}

const sizeOf = (payload: Uint8Array) => payload.length + COMMAND_OVERHEAD_BYTES
