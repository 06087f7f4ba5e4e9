/** What an app got is compared with what was sent: each reading as often as it was certainly taken, in order, in time. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { type LiveLine, LiveLook } from '../../../../devices/simulator/verify/live-look.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { Model, STEPS, type Step } from './model.ts'

const RUNS = { numRuns: 500 }

function told(model: Model, live?: readonly LiveLine[]): string[] {
  const looks = model.looks(live === undefined ? {} : { live })
  const { lost, duplicated, altered } = looks.live.account(looks.sent.isPromised)
  const { swapped, late, invented } = looks.live
  const found = Object.entries({ lost, duplicated, altered, swapped, late }).flatMap(([name, all]) =>
    all.map(() => name),
  )
  return [...found, ...new Array<string>(invented).fill('invented')]
}

/** Each is taken and acknowledged at once; no two are of one time. */
const ORDERLY: fc.Arbitrary<Step[]> = fc
  .nat(6)
  .map((more) =>
    Array.from({ length: more + 2 }, (_, time) => [
      { do: 'send', device: 0, qos: 1, stream: 0, readings: [{ time, value: 1, axis: 0 }] } as const,
      { do: 'process', device: 0 } as const,
      { do: 'acknowledge', device: 0 } as const,
    ]).flat(),
  )

const damaged = (name: string, change: (live: readonly LiveLine[], at: number) => readonly LiveLine[]) =>
  test(`${name}: told, and nothing else`, () => {
    fc.assert(
      fc.property(ORDERLY, fc.nat(), (steps, pick) => {
        const model = new Model(steps)
        assert.deepEqual(told(model, change(model.live, pick % (model.live.length - 1))), [name])
      }),
    )
  })

test('whatever links do, nothing is wrong with what comes in the order of the log', () => {
  fc.assert(
    fc.property(STEPS, (steps) => {
      assert.deepEqual(told(new Model(steps)), [])
    }),
    RUNS,
  )
})

damaged('lost', (live, at) => live.toSpliced(at, 1))
damaged('duplicated', (live, at) => live.toSpliced(at, 0, live[at] as LiveLine))
damaged('altered', (live, at) => live.with(at, { ...(live[at] as LiveLine), hash: '0123456789abcdef' }))
damaged('swapped', (live, at) => live.with(at, live[at + 1] as LiveLine).with(at + 1, live[at] as LiveLine))
damaged('late', (live, at) => live.with(at, { ...(live[at] as LiveLine), at: (live[at] as LiveLine).at + 6_000 }))
damaged('invented', (live, at) => [...live, { ...(live[at] as LiveLine), ts: (live[at] as LiveLine).ts + 1 }])

test('of what is expected no more comes than is expected; what comes besides was sent again, or promised by nobody', () => {
  fc.assert(
    fc.property(STEPS, (steps) => {
      const { live, sent } = new Model(steps).looks()
      const { expected, came, again, unpromised, lost } = live.account(sent.isPromised)
      assert.deepEqual([came + lost.length, came + again + unpromised], [expected, live.received])
    }),
    RUNS,
  )
})

test('a line that was cut off is not counted; gaps are', async (t) => {
  const model = new Model([{ do: 'send', device: 0, qos: 1, stream: 0, readings: [{ time: 0, value: 1, axis: 0 }] }])
  const { sent, places } = model.looks()
  const file = join(scratchDirectory(t), 'live.tsv')
  const read = () => LiveLook.read(file, { sent, places, lateMs: 5_000 })
  assert.equal(await read(), undefined)
  const line = `1763864000001\tsim-1\tenvironment\t1763864000000\t${sent.rowHash(0)}\t1763864000001`
  writeFileSync(file, `${line}\ngap\t1763864000002\t12\tslow\n${line}`)
  const { received = 0, gaps = 0, missed = 0 } = (await read()) ?? {}
  assert.deepEqual([received, gaps, missed], [1, 1, 12])
})
