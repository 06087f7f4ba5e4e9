import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTable } from '../../cli/table.ts'
import { printableLine } from '../../platform/logger.ts'
import { printable, printableLines } from '../../platform/printable.ts'

test('what steers a terminal is shown as an escape, and everything else as it is', () => {
  const steering = [
    ...Array(32).keys(),
    ...Array.from({ length: 33 }, (_, n) => 0x7f + n),
    0x2028,
    0x202a,
    0x202e,
    0x2066,
    0x2069,
  ]
  for (const code of steering) {
    const shown = `a\\u${code.toString(16).padStart(4, '0')}b`
    assert.equal(printable(`a${String.fromCharCode(code)}b`), shown)
  }
  const text = 'Grüße, 温度 21.3 °C 🌡 \\ "x"'
  assert.equal(printable(text), text)
  assert.equal(printableLines('a\r\n\tb', '  '), 'a\\u000d\n  \\u0009b')
})

test('a log line on a terminal is printable, whatever stands in it', () => {
  const line = printableLine(`${JSON.stringify({ reason: '\u001b[2J', err: { stack: 'a\n\u009b1m' } })}\n`)
  assert.deepEqual(JSON.parse(line), { reason: '\\u001b[2J', err: { stack: 'a\n\\u009b1m' } })
})

test('a cell of a table stays one cell', () => {
  assert.equal(formatTable(['a', 'b'], [['x\ny', '\u009b1m']]), 'a         b\nx\\u000ay  \\u009b1m\n')
})
