import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { shortestFloat } from '../../schemas/shortest-float.ts'

/** The first precision that gives the same float32 back. */
function reference(x: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const candidate = Number(x.toPrecision(digits))
    if (Math.fround(candidate) === x) return candidate
  }
  throw new Error(`nine digits must do for ${x}`)
}

const fromBits = (bits: number): number => {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint32(0, bits)
  return view.getFloat32(0)
}

test('sensor values come out as they were typed', () => {
  for (const typed of [21.3, -40.05, 0.1, 1013.25, 99.9, 0, 1, -273.15, 0.00123, 3.4e38, 1e-10, 123456.7]) {
    assert.equal(shortestFloat(Math.fround(typed)), typed)
  }
})

test('the extremes of float32 survive', () => {
  for (const bits of [1, 0x007fffff, 0x00800000, 0x7f7fffff, 0x4b800000, 0x4b7fffff, 0x5f000000]) {
    const x = fromBits(bits)
    assert.equal(shortestFloat(x), reference(x))
    assert.equal(shortestFloat(-x), -reference(x))
  }
})

test('minus zero becomes zero', () => {
  assert.ok(Object.is(shortestFloat(-0), 0))
})

test('every bit pattern is the same float32 again, in as few digits as any', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (bits) => {
      const x = fromBits(bits)
      if (!Number.isFinite(x) || x === 0) return
      const short = shortestFloat(x)
      assert.equal(Math.fround(short), x)
      assert.equal(short, reference(x))
    }),
    { numRuns: 20_000 },
  )
})

test('every decimal of up to six significant digits is kept', () => {
  fc.assert(
    fc.property(fc.integer({ min: -999_999, max: 999_999 }), fc.integer({ min: 0, max: 6 }), (digits, decimals) => {
      const typed = digits / 10 ** decimals
      assert.equal(shortestFloat(Math.fround(typed)), typed === 0 ? 0 : typed)
    }),
    { numRuns: 5_000 },
  )
})
