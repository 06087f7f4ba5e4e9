import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { Lines, LineWriter } from '../../ingest/line-protocol.ts'
import type { Reading, Stream, Value } from '../../schemas/reading.ts'
import { plainLine } from './plain-line.ts'
import { members, pulses, reading, STREAMS, T0, weather } from './streams.ts'

/** Undefined if it cannot be expressed. */
function lineOf(one: Reading, stream: Stream): string | undefined {
  const lines = new Lines()
  if (new LineWriter(stream).write(one, lines, 0) !== undefined) {
    assert.equal(lines.count, 0)
    return undefined
  }
  return lines.slice(0, lines.count).toString()
}

test('measurement, sorted tags, typed fields, nanoseconds', () => {
  const values = { site: 'a b', temperature: 21.3, count: 55, on: true, note: 'say "hi"\\' }
  assert.equal(
    lineOf(reading(weather, 'truck-7', T0, values), weather),
    String.raw`weather,device=truck-7,site=a\ b temperature=21.3,count=55i,on=true,note="say \"hi\"\\" 1763900000000000000`,
  )
  assert.equal(
    lineOf(reading(pulses, 'x', T0 + 0.123, { from: -1 }), pulses),
    'pulses,device=x from=-1i 1763900000000123000',
  )
})

test('time never passes through a float as nanoseconds', () => {
  const timeOf = (stream: Stream, ts: number) =>
    lineOf(reading(stream, 'd', ts, { count: 1, from: 1 }), stream)?.split(' ')[2]
  assert.equal(timeOf(pulses, 1_763_900_000_123.456), '1763900000123456000')
  assert.equal(timeOf(weather, 4_102_444_800_000), '4102444800000000000')
  assert.equal(timeOf(weather, -1), '-1000000')
  fc.assert(
    fc.property(fc.integer({ min: 946_684_800_000_000, max: 4_102_444_800_000_000 }), (micros) => {
      assert.equal(timeOf(pulses, micros / 1000), `${micros}000`)
    }),
  )
})

const tagText = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/\p{Cc}|\\$/u.test(text))
const anyText = fc.string({ unit: fc.constantFrom('"', '\\', ' ', ',', '=', '\n', 'a', 'ü', '😀') })

test('what is written can be read back, whatever the strings', () => {
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
        const line = lineOf(reading(weather, 'd', T0, values), weather)
        assert(line !== undefined)
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

const strange = fc.string({
  unit: fc.constantFrom('"', '\\', ' ', ',', '=', '\n', '\0', '\x7f', '\x9f', 'a', 'ü', '😀', '\ud800', '\udc00'),
})
const anyValue: { readonly [Kind in Stream['columns'][number]['kind']]: fc.Arbitrary<Value> } = {
  string: fc.oneof(strange, fc.string(), tagText),
  float: fc.oneof(
    fc.double(),
    fc
      .tuple(fc.integer({ min: -(10 ** 10), max: 10 ** 10 }), fc.nat(9))
      .map(([digits, decimals]) => digits / 10 ** decimals),
  ),
  integer: fc.maxSafeInteger(),
  boolean: fc.boolean(),
  'integer[]': fc.array(fc.maxSafeInteger()),
  'float[]': fc.array(fc.double({ noNaN: true, noDefaultInfinity: true })),
}

/** A stream of any columns, and any readings of it, of columns that it lacks too. */
const anyReadings = fc
  .uniqueArray(
    fc.record({
      name: fc.oneof(fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,8}$/), fc.constantFrom('constructor', 'toString')),
      kind: fc.constantFrom('string', 'float', 'integer', 'boolean', 'integer[]', 'float[]'),
      isTag: fc.boolean(),
    }),
    { selector: ({ name }) => name, maxLength: 12 },
  )
  .chain((given) => {
    const columns = given
      .filter(({ name }) => name !== 'device')
      .map(({ name, kind, isTag }) => ({ name, kind, tag: isTag && kind === 'string' }))
    const stream: Stream = {
      name: 'any',
      version: 1,
      timeField: 'ts',
      precision: columns.length % 2 === 0 ? 'ms' : 'us',
      columns,
    }
    const values = fc.tuple(...columns.map(({ kind }) => fc.option(anyValue[kind], { nil: undefined })))
    const readings = fc.array(
      fc.record({
        device: fc.oneof(fc.stringMatching(/^[A-Za-z0-9_.:-]{1,64}$/), strange),
        micros: fc.maxSafeInteger(),
        values,
      }),
      { maxLength: 5 },
    )
    return fc.record({ stream: fc.constant(stream), readings })
  })

test('whatever the stream and the readings, the bytes are those of the line made plainly', () => {
  fc.assert(
    fc.property(anyReadings, ({ stream, readings }) => {
      const writer = new LineWriter(stream)
      const lines = new Lines()
      const plain: string[] = []
      for (const { device, micros, values } of readings) {
        const entries = stream.columns.map(({ name }, column) => [name, values[column]] as const)
        const given = Object.fromEntries(entries.filter((entry): entry is [string, Value] => entry[1] !== undefined))
        const one = reading(stream, device, micros / 1000, given)
        const line = plainLine(one, stream)
        const unwritten = writer.write(one, lines, 0)
        assert.equal(unwritten === undefined, line !== undefined)
        if (line !== undefined) plain.push(line)
      }
      assert.equal(lines.count, plain.length)
      if (plain.length > 0) assert.deepEqual(lines.slice(0, lines.count), Buffer.from(plain.join('\n')))
    }),
    { numRuns: 2_000 },
  )
})

test('lines of any length find room, and none is cut', () => {
  const lines = new Lines()
  const writer = new LineWriter(weather)
  const plain: string[] = []
  for (let length = 1; length < 200_000; length *= 3) {
    for (const note of ['"'.repeat(length), '\\"ü'.repeat(length), '😀'.repeat(length)]) {
      const one = reading(weather, 'd', T0, { note, temperature: 5e-324 })
      assert.equal(writer.write(one, lines, 0), undefined)
      plain.push(plainLine(one, weather) ?? '')
    }
  }
  assert.deepEqual(lines.slice(0, lines.count), Buffer.from(plain.join('\n')))
})

test('columns that are named as the members of an object are written if they are given', () => {
  for (const values of [{ valueOf: 1.5 }, { constructor: 'c', toString: 'x' }] as Record<string, Value>[]) {
    const one = reading(members, 'constructor', T0, values)
    assert.equal(lineOf(one, members), plainLine(one, members))
  }
  for (const stream of STREAMS) assert.equal(lineOf(reading(stream, 'd', T0, {}), stream), undefined)
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
