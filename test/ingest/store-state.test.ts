/** What an operator is told of a store in trouble: each state once, and a new one though the code is the same. */

import assert from 'node:assert/strict'
import test from 'node:test'
import { pino } from 'pino'
import { IngestMetrics, STORE_TROUBLE_LINE_MS, StoreState } from '../../ingest/ingest-metrics.ts'
import { createMetrics } from '../../platform/metrics.ts'

function open() {
  const lines: string[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line).msg) })
  const registry = createMetrics()
  const clock = { time: 1_000_000, now: () => clock.time }
  const state = new StoreState(logger, new IngestMetrics(registry, async () => 0), clock)
  const up = async () => /^telltale_ingest_store_up (\d)/m.exec(await registry.metrics())?.[1]
  return { lines, clock, state, up }
}

const refused = (message: string) => ({ code: 'store-refused', message, retry: 'slowly', waitMs: 1 }) as const

test('a trouble that gives way to another of the same code is told, and one that stays is not told again', () => {
  const { lines, clock, state } = open()
  const minute = () => {
    for (let n = 0; n < 60; n++) {
      clock.time += 1_000
      state.failed(n % 2, refused(clock.time < 1_060_000 ? '401: unauthorized' : '404: bucket not found'))
    }
  }
  minute()
  minute()
  assert.equal(lines.length, 2, lines.join('; '))
  assert.match(lines[0] ?? '', /401/)
  assert.match(lines[1] ?? '', /404/)
})

test('a trouble whose words change with every attempt is not a line each', () => {
  const { lines, clock, state } = open()
  for (let n = 0; n < 1_000; n++) {
    state.failed(0, refused(`400: port ${n}`))
    clock.time += STORE_TROUBLE_LINE_MS / 100
  }
  assert.equal(lines.length, 10)
})

test('the store is up again when the successor of a worker that died in trouble writes', async () => {
  const { lines, state, up } = open()
  state.failed(0, refused('404'))
  assert.equal(await up(), '0')
  state.forget(0)
  state.wrote(0)
  assert.equal(await up(), '1')
  assert.match(lines.at(-1) ?? '', /takes writes again/)
})
