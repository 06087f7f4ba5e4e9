import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pace } from '../../../gateway/devices/pace.ts'

const T0 = 1_763_864_000_000

function paceOf(messages: readonly (readonly [receivedAt: number, newest?: number])[]): number | undefined {
  const pace = new Pace()
  for (const [receivedAt, newest] of messages)
    pace.take(T0 + receivedAt, newest === undefined ? undefined : T0 + newest)
  return pace.intervalMs
}

const each = (count: number, of: (n: number) => readonly [number, number?]) =>
  Array.from({ length: count }, (_, n) => of(n))

test('what comes like a clock is told from what comes when something happens', () => {
  const isRegular = (...gaps: readonly number[]) => {
    const pace = new Pace()
    let at = T0
    pace.take(at, at)
    for (const gap of gaps) {
      at += gap
      pace.take(at, at)
    }
    return pace.isRegular
  }
  assert.equal(isRegular(...Array.from({ length: 9 }, (_, n) => 1_000 + 100 * n)), true)
  assert.equal(isRegular(...Array.from({ length: 8 }, () => 1_000)), false, 'too little is known')
  assert.equal(isRegular(1_000, 9_000, 300, 4_000, 60_000, 1_000, 2_000, 30_000, 700), false)
  // After a gap it is a while until it is told again.
  assert.equal(isRegular(...Array.from({ length: 9 }, () => 1_000), 60_000), false)
})

test('the interval is what usually lies between messages, whatever a few of them do', () => {
  assert.equal(paceOf(each(3, (n) => [n * 1_000, n * 1_000])), undefined, 'too little is known')
  assert.equal(paceOf(each(10, (n) => [n * 1_000, n * 1_000])), 1_000)
  // One gap of an hour, one message twice.
  assert.equal(
    paceOf([
      ...each(6, (n) => [n * 1_000, n * 1_000] as const),
      [5_001, 5_000],
      ...each(6, (n) => [3_600_000 + n * 1_000, 3_600_000 + n * 1_000] as const),
    ]),
    1_000,
  )
  // The clock is an hour behind, and is then set.
  assert.equal(paceOf(each(12, (n) => [n * 1_000, n * 1_000 - (n < 6 ? 3_600_000 : 0)])), 1_000)
  // Nothing of it can be decoded.
  assert.equal(paceOf(each(10, (n) => [n * 2_000])), 2_000)
})

test('a backlog that comes in one go is no pace, and after it the pace is that of its readings', () => {
  const backlog = each(100, (n) => [n, n * 10_000 - 1_000_000] as const)
  assert.equal(paceOf(backlog), undefined)
  assert.equal(paceOf([...backlog, ...each(5, (n) => [10_000 + n * 10_000, n * 10_000 + 10_000] as const)]), 10_000)
})

test('a device that measures each second and sends each minute is heard each minute', () => {
  const minutes = each(6, (n) => n as unknown as readonly [number]).flatMap((_, minute) =>
    each(60, (n) => [minute * 60_000 + n, minute * 60_000 + n * 1_000] as const),
  )
  const interval = paceOf(minutes) ?? assert.fail()
  assert(Math.abs(interval - 60_000) < 100, `${interval}`)
})
