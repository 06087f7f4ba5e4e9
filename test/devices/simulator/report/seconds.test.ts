/** Seconds as a spreadsheet reads them. */

import assert from 'node:assert/strict'
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SECONDS_HEADER, secondLine } from '../../../../devices/simulator/report/seconds.ts'
import { readSeconds, SecondsFile } from '../../../../devices/simulator/report/seconds-file.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { ROWS } from './finished-run.ts'

test('each row has a field for each column, in the order of the header, and none for what was not measured', () => {
  const row = { ...ROWS[150], pubackP50: 1.23456, slipMax: Number.POSITIVE_INFINITY } as (typeof ROWS)[number]
  const line = secondLine(row)
  assert.equal(line.split(',').length, SECONDS_HEADER.split(',').length)
  const fields = Object.fromEntries(
    SECONDS_HEADER.trim()
      .split(',')
      .map((name, index) => [name, line.trim().split(',')[index]]),
  )
  assert.deepEqual(
    [
      fields.second,
      fields.due,
      fields.sent,
      fields.puback_p50_ms,
      fields.live_p50_ms,
      fields.slip_max_ms,
      fields.backlog,
    ],
    ['150', '2000', '2000', '1.235', '', '', '0'],
  )
})

test('what was written is read again, whole lines only', (t) => {
  const path = join(scratchDirectory(t), 'seconds.csv')
  const file = new SecondsFile(path)
  const rows = ROWS.slice(140, 160).map((row) => ({
    ...row,
    pubackP50: undefined,
    pubackP99: 7,
    liveP50: 1.5,
    liveP99: 0.001,
    slipMax: 0,
  }))
  for (const row of rows) file.add(row)
  assert.equal(readFileSync(path, 'utf8').split('\r\n').length, 22)
  assert.deepEqual(readSeconds(path), rows)
  appendFileSync(path, '160,2000,20')
  assert.deepEqual(readSeconds(path), rows)
})
