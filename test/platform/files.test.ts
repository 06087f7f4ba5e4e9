import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { devNull } from 'node:os'
import { test } from 'node:test'
import { growFileTable } from '../../platform/files.ts'

const COUNT = 1_000

const tableSize = () => Number(/^FDSize:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1])

function lowestFree(): number {
  const file = openSync(devNull, 'r')
  closeSync(file)
  return file
}

test('the table of open files grows at once, and no file stays open', () => {
  const before = lowestFree()
  assert(tableSize() < COUNT)
  growFileTable(COUNT)
  assert(tableSize() >= COUNT)
  assert.equal(lowestFree(), before)
})
