import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ingest } from '../../ingest/ingest.ts'
import { INGEST_READER } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { pageOf } from '../history.ts'
import { append, environment, openLog, settled, temporaryDirectory } from './log-fixture.ts'

const PROCESS = fileURLToPath(new URL('./ingest-process.ts', import.meta.url))
const T0 = Date.now() - 600_000
const MESSAGES = 60_000

test('killed in the middle again and again, every message is in the embedded store exactly once', async (t) => {
  const directory = await temporaryDirectory(t)
  const logDirectory = join(directory, 'log')
  const path = join(directory, 'store.duckdb')
  const writing = await openLog(logDirectory)
  const appended = Array.from({ length: MESSAGES }, (_, n) => append(writing, `d${n % 50}`, environment(T0 + n, n)))
  await Promise.all(appended)
  await writing.stop()

  for (const until of [1, 15_000, 35_000]) {
    const child = spawn(process.execPath, ['--import', 'tsx', PROCESS, logDirectory, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    for await (const line of createInterface({ input: child.stdout })) {
      if (Number(line) < until) continue
      child.kill('SIGKILL')
      break
    }
    await exited
  }

  const log = await openLog(logDirectory)
  t.after(() => log.stop())
  const deps = { log, clock: systemClock, logger: silentLogger(), metrics: createMetrics() }
  const ingest = new Ingest(
    { workers: 1, store: { kind: 'duckdb', path }, schemas: new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR }) },
    deps,
  )
  await ingest.start()
  t.after(() => ingest.stop())
  const ledger = await settled(log)
  assert.deepEqual([ledger.accepted, ledger.stored, ledger.pending, ledger.balanced], [MESSAGES, MESSAGES, 0, true])
  const query = { selections: [{}], from: T0, to: T0 + MESSAGES, limit: MESSAGES * 2 }
  const { readings } = await pageOf(ingest.history, query)
  assert.equal(readings.length, MESSAGES)
  assert(readings.every(({ ts, values }, n) => ts === T0 + n && values.temperature === n))
  for (let device = 0; device < 50; device++) {
    const receipts = await log.deviceReceipts(INGEST_READER, `d${device}`)
    assert.equal(
      receipts?.hours.reduce((sum, { stored }) => sum + stored, 0),
      MESSAGES / 50,
    )
  }
})
