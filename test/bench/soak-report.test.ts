import assert from 'node:assert/strict'
import { test } from 'node:test'
import { csv, judge, plot, type Sample, seriesAt } from '../../bench/soak-report.ts'

const RATE = 5_000
const STEADY = { mappedMiB: 90, openFiles: 96, p99Ms: 9, cpuPercent: 70, perSecond: RATE }

/** 30 minutes, a sample every 10 s, `ownMiB` and `pending` by the second. */
function soak(ownMiB: (seconds: number) => number, pending: (seconds: number) => number = () => 100): Sample[] {
  return Array.from({ length: 180 }, (_, index) => {
    const seconds = (index + 1) * 10
    return { ...STEADY, seconds, ownMiB: ownMiB(seconds), pending: pending(seconds) }
  })
}

const notFlat = (samples: readonly Sample[]) =>
  judge(samples, seriesAt(RATE))
    .filter(({ flat }) => !flat)
    .map(({ series }) => series.name)

test('a soak that warms up, and saws between collections, is flat', () => {
  assert.deepEqual(notFlat(soak((seconds) => Math.min(230, 150 + seconds) + 20 * Math.sin(seconds))), [])
})

test('a leak of 10 bytes a message is not flat, nor a lag that grows', () => {
  assert.deepEqual(notFlat(soak((seconds) => 230 + (10 * RATE * seconds) / 2 ** 20)), ['ownMiB'])
  const falling = soak(
    () => 230,
    (seconds) => 10 * seconds,
  )
  assert.deepEqual(notFlat(falling), ['pending'])
})

test('of too few samples nothing is said', () => {
  assert.throws(() => judge(soak(() => 230).slice(0, 5), seriesAt(RATE)), /5 samples are too few/)
})

test('the samples are kept as CSV, and drawn a series a plot', () => {
  const samples = soak((seconds) => 200 + seconds / 100)
  const [names = '', first, ...rest] = csv(samples).trimEnd().split('\n')
  assert.match(names, /ownMiB/)
  assert.equal(first?.split(',').length, names.split(',').length)
  assert.equal(rest.length, samples.length - 1)
  const series = seriesAt(RATE)
  const svg = plot(samples, series, 'a title')
  const lines = [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points = '']) => points.split(' ').length)
  assert.deepEqual(
    lines,
    series.map(() => samples.length),
  )
})
