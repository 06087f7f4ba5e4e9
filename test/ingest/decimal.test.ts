import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { NUMBER_BYTES_MAX, writeNumber, writeWhole } from '../../ingest/decimal.ts'

const bytes = Buffer.alloc(NUMBER_BYTES_MAX + 2)

/** Compares byte by byte, for there are millions. */
function isWritten(end: number, expected: string): boolean {
  if (end !== expected.length + 1) return false
  for (let at = 0; at < expected.length; at++) if (bytes[at + 1] !== expected.charCodeAt(at)) return false
  return true
}

function written(x: number): void {
  bytes.fill(0)
  const end = writeNumber(bytes, 1, x)
  assert(isWritten(end, String(x)), `${x} was written as ${bytes.toString('latin1', 1, end)}`)
  assert.deepEqual([bytes[0], bytes[end]], [0, 0])
}

test('every decimal of up to six significant digits is written as JavaScript prints it', () => {
  let wrong = 0
  for (let decimals = 0; decimals <= 6; decimals++) {
    for (let digits = 0; digits < 1_000_000; digits++) {
      const x = digits / 10 ** decimals
      if (!isWritten(writeNumber(bytes, 1, x), String(x))) wrong++
    }
  }
  assert.equal(wrong, 0)
})

test('so are those of up to nine digits and beyond, and their neighbours among the doubles', () => {
  const float = new Float64Array(1)
  const bits = new BigInt64Array(float.buffer)
  const digits = fc.integer({ min: -(10 ** 11), max: 10 ** 11 })
  fc.assert(
    fc.property(digits, fc.nat(12), fc.integer({ min: -3, max: 3 }), (whole, decimals, steps) => {
      float[0] = whole / 10 ** decimals
      if (float[0] !== 0) bits[0] = (bits[0] ?? 0n) + BigInt(steps)
      written(float[0] ?? 0)
    }),
    { numRuns: 50_000 },
  )
})

test('so is any finite number', () => {
  for (const x of [
    0,
    -0,
    5e-324,
    -Number.MAX_VALUE,
    1e21,
    1e20,
    999_999_999,
    1e9,
    2 ** 53,
    1e-6,
    1e-7,
    -1e-6,
    0.1 + 0.2,
  ])
    written(x)
  for (const x of [-0.000_001_234_567_890_123_456_7, 123_456.789_012, 4_294_967_295.5, 1.000_000_1]) written(x)
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), written), { numRuns: 20_000 })
  fc.assert(fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), written), { numRuns: 20_000 })
})

test('so is any whole number below 2^53', () => {
  const whole = (x: number) => assert(isWritten(writeWhole(bytes, 1, x), String(x)), `${x}`)
  for (let power = 1; power <= 10 ** 15; power *= 10) for (const near of [-1, 0, 1]) whole(power + near)
  fc.assert(fc.property(fc.maxSafeNat(), whole), { numRuns: 20_000 })
})
