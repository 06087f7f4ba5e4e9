/** What the page of a device says of its dead letters: how many are held, and why the newest of these. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceRecord } from '../../dashboard/answers.ts'
import { storyOf } from '../../dashboard/device/story.ts'

const NOW = 1_763_864_000_000

function told(held: number, stream = 'environment'): string[] {
  const letters = { code: 'empty', count: 6, held, firstAt: NOW - 9_000, lastAt: NOW - 5_000, stream, reason: 'so' }
  const record = { device: 'truck-8', online: false, events: [], hours: [], deadLetters: [letters] }
  const evidence = [{ at: NOW - 4_000, text: `${held === 0 ? 'was ' : ''}set aside (empty), as the answer has it` }]
  const { pieces, lines } = storyOf(record as unknown as DeviceRecord, evidence, NOW)
  assert.deepEqual(
    pieces.map(({ lane, text }) => [lane, text]),
    lines.map(({ text }) => ['dead', text]),
  )
  return lines.map(({ kind, tone, text }) => `${tone}: ${kind}: ${text}`)
}

test('dead letters are told once, with how many are held; those that are all mended as past', () => {
  assert.deepEqual(told(6), ['bad: Set aside: empty, 6 messages; the newest of environment: so'])
  assert.deepEqual(told(2), ['bad: Set aside: empty, 6 messages (2 held); the newest held of environment: so'])
  assert.deepEqual(told(2, ''), ['bad: Set aside: empty, 6 messages (2 held); the newest held: so'])
  assert.deepEqual(told(0), [
    'idle: Was set aside: empty, 6 messages, all replayed or purged since; the newest of environment: so',
  ])
})
