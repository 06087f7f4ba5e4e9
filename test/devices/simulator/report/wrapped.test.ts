/** A line of a summary is broken at words, and none is lost. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { summaryText } from '../../../../devices/simulator/report/summary-text.ts'
import { wrapped } from '../../../../devices/simulator/report/wrapped.ts'
import { BAD, GOOD } from './finished-run.ts'

const words = (text: string): string[] => text.split(/\s+/)

test('it keeps each word, and fits where its words do', () => {
  const line = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 30 }).map((all) => all.join(' '))
  fc.assert(
    fc.property(line, fc.integer({ min: 20, max: 60 }), fc.integer({ min: 0, max: 6 }), (text, columns, indent) => {
      const broken = wrapped(text, { columns, indent })
      assert.deepEqual(words(broken), words(text))
      for (const each of broken.split('\n')) assert(each.length <= columns, broken)
    }),
  )
})

test('a summary on a terminal has no line that is longer than it, but for long words; in a pipe a row is a line', () => {
  const lines = summaryText(GOOD, 80).split('\n')
  for (const line of lines) assert(line.length <= 80, line)
  assert(lines.some((line) => /^ {22}\S/.test(line)))
  assert.deepEqual(words(summaryText(BAD, 80)), words(summaryText(BAD)))
  assert.match(summaryText(GOOD), /^link-loss .{120,}once\.$/m)
})
