/** A process of its own for the log's tests: replays all dead letters of the log named, prints how many are still held. */

import { writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LocalLog } from '../../../log/local/local-log.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'

const directory = process.argv[2] ?? ''
const options = { directory, writer: true, maxBytes: 2 ** 30, retentionMs: 86_400_000 }
const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
await log.start()
let done = false
const replaying = log.replay({}).then(() => {
  done = true
})
let told = -1
while (!done) {
  const { held } = await log.deadLetterCounts()
  if (held !== told) writeSync(1, `${held}\n`)
  told = held
  await nextTurn()
}
await replaying
writeSync(1, '0\n')
await log.stop()
