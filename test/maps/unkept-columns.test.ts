import assert from 'node:assert/strict'
import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { LearntColumns } from '../../maps/made-streams.ts'
import { UnkeptColumns } from '../../maps/unkept-columns.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { scratchDirectory } from '../scratch.ts'

test('columns that cannot be written down hold, are told once a stream, and counted', async (t) => {
  const disk = join(scratchDirectory(t), 'disk')
  const directory = join(disk, 'maps')
  // Nothing can be written there.
  symlinkSync('/proc/none', disk)
  const lines: string[] = []
  const metrics = createMetrics()
  const unkept = new UnkeptColumns({ logger: pino({ level: 'error' }, { write: (line) => lines.push(line) }), metrics })
  const learnt = new LearntColumns(directory, true, unkept.tell)
  learnt.add('plug', ['power', 'voltage'])
  learnt.add('plug', ['power', 'current'])
  assert.deepEqual([...learnt.of('plug')], ['power', 'voltage', 'current'])
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /columns that were learnt of plug cannot be written down/)
  learnt.add('meter', ['energy'])
  assert.equal(lines.length, 2)
  assert.match(await metrics.metrics(), /^telltale_maps_columns_unkept_total 4$/m)

  rmSync(disk)
  mkdirSync(disk)
  learnt.add('plug', ['frequency'])
  assert.deepEqual([...new LearntColumns(directory).of('plug')], ['frequency'])
  assert.match(await metrics.metrics(), /^telltale_maps_columns_unkept_total 4$/m)
})
