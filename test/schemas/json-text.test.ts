/** JSON is read as `JSON.parse` reads it, but for a name that stands twice. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJson } from '../../schemas/json-text.ts'
import { Rejection } from '../../schemas/reading.ts'

test('whatever can be written as JSON is read as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      assert.deepEqual(parseJson(text), JSON.parse(text))
    }),
  )
})

test('a name that stands twice is refused, however it is written and wherever it stands', () => {
  const twice: Readonly<Record<string, string>> = {
    '{"a":1,"a":2}': 'a',
    '{"a":1,"a":1}': 'a',
    '[{"b":{}},{"b":[{"a" :1,"\\u0061"\n:2}]}]': 'a',
    '{"__proto__":1,"__proto__":2}': '__proto__',
    '{"constructor":1,"b":"\\"constructor\\":","constructor":2}': 'constructor',
    '{"":1,"":2}': '',
    '{"\\\\":1,"\\\\":2}': '\\\\',
    '{"a":{"b":1},"b":1,"c":[{"b":2}],"a":3}': 'a',
  }
  for (const [text, name] of Object.entries(twice)) {
    const outcome = parseJson(text)
    assert(outcome instanceof Rejection, text)
    assert.equal(outcome.reason, `the JSON has the name "${name}" twice in one object`)
  }
})

test('the same name in several objects, and in text, is none of that', () => {
  for (const text of [
    '{"a":{"a":[{"a":1},{"a":2}]}}',
    '{"a":"\\"a\\":1","b":"{\\"b\\":2}"}',
    '["a","a"]',
    '"a"',
    'null',
  ]) {
    assert.deepEqual(parseJson(text), JSON.parse(text))
  }
})

test('what nests as deep as a payload allows neither throws nor takes long', () => {
  const levels = 80_000
  const nested = `${'[{"a":'.repeat(levels / 2)}1${'}]'.repeat(levels / 2)}`
  assert(!(parseJson(nested) instanceof Rejection))
  assert(parseJson(`{"b":${nested},"b":${nested}}`) instanceof Rejection)
  assert(parseJson('['.repeat(200_000)) instanceof Rejection)
  assert(!(parseJson(JSON.stringify('\\"'.repeat(60_000))) instanceof Rejection))
})

test('text that is cut off within a string is told as that', () => {
  for (const text of ['{"ab":"c', '{"ab":1,"c', '["x\\', '["\\u00', '"']) {
    const outcome = parseJson(text)
    assert(outcome instanceof Rejection, text)
    const said = `at position ${text.length} the text ends within the string that begins at position ${text.lastIndexOf('"')}`
    assert.equal(outcome.reason, `the JSON is malformed: ${said}`)
  }
  const outcome = parseJson('{"a":1 "c')
  assert(outcome instanceof Rejection)
  assert.equal(outcome.reason, 'the JSON is malformed: at position 7 "\\"c" stands where , or } is right')
})
