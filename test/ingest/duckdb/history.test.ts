import assert from 'node:assert/strict'
import test from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { DuckdbHistory } from '../../../ingest/duckdb/history.ts'
import { StreamTable } from '../../../ingest/duckdb/table.ts'
import { pageOf } from '../../history.ts'
import { T0, weather } from '../streams.ts'

const ROWS = 4_000_000

test('a query that nobody wants any more is interrupted, and no other', async (t) => {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  t.after(() => {
    connection.closeSync()
    instance.closeSync()
  })
  await new StreamTable(weather, connection).prepare()
  const row = `make_timestamp((${T0} + i) * 1000), 'd' || (i % 1000), i`
  await connection.run(`INSERT INTO weather (time, device, count) SELECT ${row} FROM range(${ROWS}) t(i)`)
  const history = new DuckdbHistory(instance, [weather])
  const window = { everyMs: 1, aggregate: 'first' } as const
  const long = { selections: [{}], from: T0, to: T0 + ROWS, window, limit: 10 }
  const short = { selections: [{}], from: T0, to: T0 + 1_000, limit: 10 }
  const left = new AbortController()
  const unwanted = history.readings(long, left.signal)
  const rejected = assert.rejects(unwanted, ({ code, cause }: { code: string; cause: Error }) => {
    assert.equal(code, 'store-unavailable')
    assert.match(cause.message, /interrupt/i)
    return true
  })
  const wanted = pageOf(history, short)
  const { readings, truncated } = await wanted
  left.abort()
  await rejected
  assert.deepEqual([readings.length, truncated], [10, true])
  await assert.rejects(history.readings(long, left.signal), { code: 'store-unavailable' })

  const atClose = assert.rejects(pageOf(history, long), { code: 'store-unavailable' })
  await pageOf(history, short)
  await history.close()
  await atClose
})

test('a question of which nothing was asked, for its asker left or there is no such stream, keeps nothing open', async (t) => {
  const instance = await DuckDBInstance.create(':memory:')
  t.after(() => instance.closeSync())
  const history = new DuckdbHistory(instance, [weather])
  const left = new AbortController()
  const page = history.readings({ selections: [{ stream: 'unknown' }], from: T0, to: T0 + 1, limit: 10 }, left.signal)
  // While DuckDB makes the connection.
  left.abort()
  await page.catch(() => undefined)
  await history.close()
})
