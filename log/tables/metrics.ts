/** Owns what a local log measures of itself. */

import { Counter, Gauge } from 'prom-client'
import type { Clock } from '../../platform/clock.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { COMMAND_STATES, type CommandCounts } from '../commands.ts'
import type { DeadLetterCounts, Ledger } from '../log.ts'

/** What is measured when somebody asks, of one snapshot. */
export interface LogObservation {
  readonly ledger: Ledger
  /** Of each shard, messages that are neither stored nor set aside. */
  readonly pending: readonly number[]
  readonly deadLetters: DeadLetterCounts
  readonly commands: CommandCounts
  /** What the commits take on disk. */
  readonly bytes: number
  readonly isFull: boolean
  /** When the oldest message was received that is neither stored nor set aside, milliseconds; undefined if none is. */
  readonly oldestPendingAt: number | undefined
}

export class LogMetrics {
  readonly #entries: Counter
  readonly #durables: Counter
  readonly #bytesWritten: Counter
  readonly #removed: Counter

  /** `observe`: undefined while the log is not open. */
  constructor(registry: Metrics, clock: Clock, observe: () => LogObservation | undefined) {
    const registers = [registry]
    this.#entries = new Counter({ name: 'telltale_log_entries_total', help: 'Messages made durable', registers })
    this.#durables = new Counter({ name: 'telltale_log_commits_total', help: 'Group commits flushed', registers })
    this.#bytesWritten = new Counter({ name: 'telltale_log_written_bytes_total', help: 'Bytes of commits', registers })
    this.#removed = new Counter({ name: 'telltale_log_removed_commits_total', help: 'Removed by retention', registers })
    observeLog(registry, clock, observe)
  }

  committed(bytes: number, entries: number): void {
    this.#entries.inc(entries)
    this.#durables.inc()
    this.#bytesWritten.inc(bytes)
  }

  retained(removed: number): void {
    this.#removed.inc(removed)
  }
}

/** The first of these gauges that is collected sets the others with it, so that whoever reads them gets one snapshot. */
function observeLog(registry: Metrics, clock: Clock, observe: () => LogObservation | undefined): void {
  const registers = [registry]
  const labelNames = ['state']
  new Gauge({
    name: 'telltale_ledger_messages',
    help: 'The ledger: accepted = stored + dead_lettered + pending, in one snapshot',
    labelNames,
    registers,
    collect() {
      const observed = observe()
      if (observed === undefined) return
      const { ledger, deadLetters } = observed
      this.set({ state: 'accepted' }, ledger.accepted)
      this.set({ state: 'stored' }, ledger.stored)
      this.set({ state: 'dead_lettered' }, ledger.deadLettered)
      this.set({ state: 'pending' }, ledger.pending)
      for (const state of ['held', 'replayed', 'purged', 'expired'] as const) letters.set({ state }, deadLetters[state])
      for (const state of COMMAND_STATES) commands.set({ state }, observed.commands[state])
      commandsOpen.set(observed.commands.open)
      for (const [shard, count] of observed.pending.entries()) pending.set({ shard: String(shard) }, count)
      readings.set({ state: 'stored' }, ledger.readings)
      readings.set({ state: 'superseded' }, ledger.superseded)
      heldBytes.set(deadLetters.heldBytes)
      bytes.set(observed.bytes)
      full.set(observed.isFull ? 1 : 0)
      const now = clock.now()
      oldest.set(Math.max(0, now - (observed.oldestPendingAt ?? now)) / 1_000)
    },
  })
  const readings = new Gauge({
    name: 'telltale_ledger_readings',
    help: 'Readings stored, and those of them that others with their series and time have replaced',
    labelNames,
    registers,
  })
  const pending = new Gauge({
    name: 'telltale_log_shard_pending_messages',
    help: 'Of each shard of the log, messages that are neither stored nor set aside: how far ingest is behind there',
    labelNames: ['shard'],
    registers,
  })
  const letters = new Gauge({
    name: 'telltale_dead_letters',
    help: 'What became of the messages ever set aside: dead_lettered = held + replayed + purged + expired',
    labelNames,
    registers,
  })
  const commands = new Gauge({
    name: 'telltale_commands',
    help: 'Commands to devices that ever were, by what they are now',
    labelNames,
    registers,
  })
  const commandsOpen = new Gauge({
    name: 'telltale_commands_open',
    help: 'Commands to devices that are not over: kept until they are acknowledged, expire or are cancelled',
    registers,
  })
  const oldest = new Gauge({
    name: 'telltale_ledger_oldest_pending_seconds',
    help: 'How long ago the oldest message was received that is neither stored nor set aside; 0 if there is none',
    registers,
  })
  const heldBytes = new Gauge({
    name: 'telltale_dead_letters_held_bytes',
    help: 'What the dead letters held are counted as',
    registers,
  })
  const bytes = new Gauge({ name: 'telltale_log_size_bytes', help: 'Bytes that the commits take on disk', registers })
  const full = new Gauge({ name: 'telltale_log_full', help: '1 while new messages are refused', registers })
}
