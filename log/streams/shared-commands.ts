/** Owns the commands to devices of a log on streams: each in the books of its device's shard, where whoever adds, sends or ends one says so. */

import type { Clock } from '../../platform/clock.ts'
import {
  COMMAND_STATES,
  type Command,
  type CommandChange,
  type CommandCounts,
  type Commands,
  type NewCommand,
} from '../commands.ts'
import { shardOf } from '../entry.ts'
import { LogError } from '../log-error.ts'
import type { Books } from './books.ts'
import { merged } from './merged.ts'
import type { Replica } from './replica.ts'

interface CommandShard {
  readonly books: Books
  readonly replica: Replica
}

export class SharedCommands implements Commands {
  readonly #shards: readonly CommandShard[]
  /** Why nothing is taken now; undefined while there is room. */
  readonly #full: () => LogError | undefined
  readonly #clock: Clock

  constructor(shards: readonly CommandShard[], full: () => LogError | undefined, clock: Clock) {
    this.#shards = shards
    this.#full = full
    this.#clock = clock
  }

  async add(command: NewCommand): Promise<Command> {
    const full = this.#full()
    if (full !== undefined) throw full
    const added = await this.#of(command.device).books.ask({ kind: 'command', command })
    const { id, code, message } = added as { id?: string; code?: string; message?: string }
    if (code !== undefined) throw new LogError(code, message ?? code)
    const [found] = this.#named(command.device, [id ?? ''])
    if (found === undefined) throw new LogError('commands-full', 'so many commands were added that this one had to go')
    return found
  }

  of(device: string): readonly Command[] {
    return this.#of(device).replica.commands.of(device)
  }

  async change(device: string, changes: readonly CommandChange[]): Promise<readonly Command[]> {
    const ids = await this.#of(device).books.ask({ kind: 'commands', device, changes })
    return this.#named(device, ids as string[])
  }

  async expire(): Promise<readonly Command[]> {
    const now = this.#clock.now()
    const due = this.#shards.filter(({ replica }) => (replica.commands.nextExpiry() ?? Number.POSITIVE_INFINITY) <= now)
    const ended = await Promise.all(due.map(({ books }) => books.ask({ kind: 'expiry' })))
    return (ended as [device: string, id: string][][]).flat().flatMap(([device, id]) => this.#named(device, [id]))
  }

  nextExpiry(): number | undefined {
    const times = this.#shards.flatMap(({ replica }) => replica.commands.nextExpiry() ?? [])
    return times.length === 0 ? undefined : Math.min(...times)
  }

  follow(signal: AbortSignal): AsyncIterable<string | undefined> {
    return merged(
      this.#shards.map(
        ({ replica }) =>
          (ending: AbortSignal) =>
            replica.commands.follow(ending),
      ),
      signal,
    )
  }

  counts(): CommandCounts {
    const sum = Object.fromEntries([...COMMAND_STATES, 'open'].map((state) => [state, 0])) as Record<
      keyof CommandCounts,
      number
    >
    for (const { replica } of this.#shards) {
      const counts = replica.commands.counts()
      for (const state of Object.keys(sum) as (keyof CommandCounts)[]) sum[state] += counts[state]
    }
    return sum
  }

  #named(device: string, ids: readonly string[]): Command[] {
    const found = new Map(this.of(device).map((command) => [command.id, command]))
    return ids.flatMap((id) => found.get(id) ?? [])
  }

  #of(device: string): CommandShard {
    return this.#shards[shardOf(device, this.#shards.length)] as CommandShard
  }
}
