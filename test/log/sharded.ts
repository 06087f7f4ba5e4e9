/** Owns a log of several shards for tests, each a local log: what reads a log must not rest on there being one. */

import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type NewEntry, type NewRun, shardOf } from '../../log/entry.ts'
import type { LocalLog } from '../../log/local/local-log.ts'
import type { Appends, Claims, DeviceLedger, DeviceReceipts, Ledger, Shard, Shards } from '../../log/log.ts'
import type { LogError } from '../../log/log-error.ts'
import { openLocal } from './local/open-local.ts'
import { ShardedLetters } from './sharded-letters.ts'

export class ShardedLog extends ShardedLetters implements Appends, Shards, Claims {
  readonly id: string
  readonly shards: readonly Shard[]

  static async open(t: TestContext, directory: string, count: number): Promise<ShardedLog> {
    const logs: LocalLog[] = []
    for (let index = 0; index < count; index++)
      logs.push(await openLocal(t, { directory: join(directory, `${index}`) }))
    return new ShardedLog(logs)
  }

  private constructor(logs: readonly LocalLog[]) {
    super(logs)
    this.id = logs.map(({ id }) => id).join('')
    this.shards = logs.flatMap(({ shards }) => shards)
  }

  append(entry: NewEntry, onDurable: (error?: LogError) => void): void {
    this.#of(entry.device).append(entry, onDurable)
  }

  appendRun(run: NewRun, onDurable: (error?: LogError) => void): void {
    this.#of(run.device).appendRun(run, onDurable)
  }

  appendSetAside(...args: Parameters<Appends['appendSetAside']>): void {
    this.#of(args[0].device).appendSetAside(...args)
  }

  async ledger(reader: string): Promise<Ledger> {
    const sum = { accepted: 0, stored: 0, deadLettered: 0, pending: 0, balanced: true, readings: 0, superseded: 0 }
    for (const shard of this.shards) {
      const { balanced, ...counts } = await shard.ledger(reader)
      sum.balanced &&= balanced
      for (const name of Object.keys(counts) as (keyof typeof counts)[]) sum[name] += counts[name]
    }
    return sum
  }

  deviceLedger(reader: string, device: string): Promise<DeviceLedger> {
    return this.#of(device).deviceLedger(reader, device)
  }

  deviceReceipts(reader: string, device: string): Promise<DeviceReceipts | undefined> {
    return this.#of(device).deviceReceipts(reader, device)
  }

  get members() {
    return this.#first().members
  }

  get roles() {
    return this.#first().roles
  }

  claim(name: string): Promise<boolean> {
    return this.#first().claim(name)
  }

  release(name: string): Promise<void> {
    return this.#first().release(name)
  }

  #first(): LocalLog {
    return this.#at(0)
  }

  #of(device: string): LocalLog {
    return this.#at(shardOf(device, this.logs.length))
  }

  #at(index: number): LocalLog {
    const { [index]: log } = this.logs
    if (log === undefined) throw new Error('a log has shards')
    return log
  }
}
