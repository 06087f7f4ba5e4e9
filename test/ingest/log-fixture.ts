/** A real log in a temp directory, and ingest upon it, for tests. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { LocalLog } from '../../log/local/local-log.ts'
import { type Appends, INGEST_READER, type Ledger, type Shards } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { until } from '../until.ts'

export const registry = Registry.load(SHIPPED_SCHEMAS_DIR)

export async function openLog(directory: string): Promise<LocalLog> {
  const log = new LocalLog(
    { directory, writer: true, maxBytes: 2 ** 30, retentionMs: 3_600_000 },
    { clock: systemClock, logger: silentLogger(), metrics: createMetrics() },
  )
  await log.start()
  return log
}

export async function temporaryDirectory(t: Pick<TestContext, 'after'>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'telltale-ingest-'))
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }))
  return directory
}

/** Resolves when the entry is durable. */
export function append(log: Appends, device: string, payload: Buffer, stream = 'environment'): Promise<void> {
  const receivedAt = systemClock.now()
  return new Promise((resolve, reject) => {
    log.append({ device, stream, receivedAt, flags: 0, payload }, (error) => (error ? reject(error) : resolve()))
  })
}

export const environment = (ts: number, temperature: number, battery = 50): Buffer =>
  registry.encode('environment', { ts, temperature, humidity: 40, pressure: 1013.25, battery, rssi: -70 })

/** Waits until every entry is stored or set aside, and gives the books. */
export async function settled(log: Pick<Shards, 'ledger'>): Promise<Ledger> {
  let ledger = await log.ledger(INGEST_READER)
  await until(
    async () => {
      ledger = await log.ledger(INGEST_READER)
      return ledger.pending === 0
    },
    () => `nothing is pending: ${JSON.stringify(ledger)}`,
  )
  return ledger
}
