/** A process of its own for the damage test: opens the log for appending, says how that went, and stays. */

import { writeSync } from 'node:fs'
import { LocalLog } from '../../../log/local/local-log.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'

const options = { directory: process.argv[2] ?? '', writer: true, maxBytes: 2 ** 30, retentionMs: 86_400_000 }
const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
try {
  await log.start()
  writeSync(1, 'open\n')
} catch (error) {
  writeSync(1, `${error instanceof Error && 'code' in error ? error.code : error}\n`)
}
setInterval(() => undefined, 1_000)
