import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { LineWriter, nanoseconds } from '../../ingest/line-protocol.ts'
import type { Value } from '../../schemas/reading.ts'
import { pulses, reading, T0, weather } from './streams.ts'

test('measurement, sorted tags, typed fields, nanoseconds', () => {
  const values = { site: 'a b', temperature: 21.3, count: 55, on: true, note: 'say "hi"\\' }
  assert.equal(
    new LineWriter(weather).line(reading(weather, 'truck-7', T0, values)),
    String.raw`weather,device=truck-7,site=a\ b temperature=21.3,count=55i,on=true,note="say \"hi\"\\" 1763900000000000000`,
  )
  assert.equal(
    new LineWriter(pulses).line(reading(pulses, 'x', T0 + 0.123, { from: -1 })),
    'pulses,device=x from=-1i 1763900000000123000',
  )
})

test('time never passes through a float as nanoseconds', () => {
  assert.equal(nanoseconds(1_763_900_000_123.456, 'us'), '1763900000123456000')
  assert.equal(nanoseconds(4_102_444_800_000, 'ms'), '4102444800000000000')
  fc.assert(
    fc.property(fc.integer({ min: 946_684_800_000_000, max: 4_102_444_800_000_000 }), (micros) => {
      assert.equal(nanoseconds(micros / 1000, 'us'), `${micros}000`)
    }),
  )
})

const tagText = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/\p{Cc}|\\$/u.test(text))
const anyText = fc.string({ unit: fc.constantFrom('"', '\\', ' ', ',', '=', '\n', 'a', 'ü', '😀') })

test('what is written can be read back, whatever the strings', () => {
  const writer = new LineWriter(weather)
  fc.assert(
    fc.property(
      fc.record(
        {
          site: fc.oneof(
            tagText,
            anyText.filter((text) => text !== '' && !/\n|\\$/.test(text)),
          ),
          temperature: fc.double({ noNaN: true, noDefaultInfinity: true }),
          count: fc.maxSafeInteger(),
          on: fc.boolean(),
          note: anyText,
        },
        { requiredKeys: ['count'] },
      ),
      (values) => {
        const line = writer.line(reading(weather, 'd', T0, values))
        assert(typeof line === 'string')
        const back = parse(line)
        assert.deepEqual(back.tags, { device: 'd', ...(values.site !== undefined && { site: values.site }) })
        const { site: _site, ...fields } = values
        const zeroes = Object.entries(fields).map(([name, value]) => [name, Object.is(value, -0) ? 0 : value])
        assert.deepEqual(back.fields, Object.fromEntries(zeroes))
        assert.equal(back.time, `${T0}000000`)
      },
    ),
  )
})

/** Reads a line by InfluxDB's rules: outside strings a backslash escapes only comma, equals sign and space. */
function parse(line: string) {
  let at = 0
  const until = (stops: string): string => {
    let text = ''
    for (; at < line.length && !stops.includes(line.charAt(at)); at++) {
      const next = line.charAt(at + 1)
      if (line.charAt(at) === '\\' && next !== '' && ', ='.includes(next)) at++
      text += line.charAt(at)
    }
    return text
  }
  assert.equal(until(', '), 'weather')
  const tags: Record<string, string> = {}
  while (line.charAt(at) === ',') {
    at++
    const name = until('=')
    at++
    tags[name] = until(', ')
  }
  const fields: Record<string, Value> = {}
  do {
    at++
    const name = until('=')
    at++
    if (line.charAt(at) === '"') {
      let text = ''
      for (at++; line.charAt(at) !== '"'; at++) {
        if (line.charAt(at) === '\\') at++
        text += line.charAt(at)
      }
      at++
      fields[name] = text
    } else {
      const text = until(', ')
      fields[name] = text.endsWith('i')
        ? Number(text.slice(0, -1))
        : /^[tf]/.test(text)
          ? text === 'true'
          : Number(text)
    }
  } while (line.charAt(at) === ',')
  return { tags, fields, time: line.slice(at + 1) }
}
