import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { KeptConfig } from '../../platform/kept-config.ts'
import { scratchDirectory } from '../scratch.ts'

test('a copy that cannot be read is none, and is told; that there is none yet is not', (t) => {
  const file = join(scratchDirectory(t), 'maps.json')
  const kept = new KeptConfig(file)
  const told: string[] = []
  const read = () => kept.read((problem) => told.push(problem))
  assert.deepEqual([read().size, told], [0, []])
  kept.write([{ file: '/config/maps/a.yaml', text: 'topic: a' }])
  assert.deepEqual([[...read()], told], [[['a.yaml', 'topic: a']], []])
  for (const text of ['{"a.yaml":', 'null']) {
    writeFileSync(file, text)
    assert.equal(read().size, 0)
    assert.match(
      told.pop() ?? '',
      /maps\.json, the copy of what was in force last, cannot be read and is taken for none: /,
    )
  }
})
