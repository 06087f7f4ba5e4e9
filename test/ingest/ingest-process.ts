/** A process that a test kills: ingest from the log in argv[2] to the DuckDB file in argv[3], saying how much is stored. */

import { Ingest } from '../../ingest/ingest.ts'
import { INGEST_READER } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { openLog } from './log-fixture.ts'

const [, , logDirectory = '', path = ''] = process.argv
const log = await openLog(logDirectory)
const deps = { log, clock: systemClock, logger: silentLogger(), metrics: createMetrics() }
const ingest = new Ingest(
  { workers: 1, store: { kind: 'duckdb', path }, schemas: new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR }) },
  deps,
)
await ingest.start()
for (let before = -1; ; ) {
  const { stored } = await log.ledger(INGEST_READER)
  if (stored !== before) process.stdout.write(`${stored}\n`)
  before = stored
  await new Promise((resolve) => setImmediate(resolve))
}
