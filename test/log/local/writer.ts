/** A process of its own for the log's tests: appends to the log in the directory named, prints each durable payload. */

import { LocalLog } from '../../../log/local/local-log.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'

const ENTRIES_MAX = 100_000

const directory = process.argv[2] ?? ''
const options = { directory, writer: true, maxBytes: 2 ** 30, retentionMs: 86_400_000 }
const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
await log.start()
for (let number = 0; number < ENTRIES_MAX; number++) {
  const text = `${process.pid}/${number}`
  const entry = { device: 'd', stream: 's', receivedAt: systemClock.now(), flags: 0, payload: Buffer.from(text) }
  await new Promise<void>((resolve, reject) => log.append(entry, (error) => (error ? reject(error) : resolve())))
  // Whoever reads may be busy: the pipe is full then, and a write at once would fail.
  await new Promise<void>((resolve) => process.stdout.write(`${text}\n`, () => resolve()))
}
