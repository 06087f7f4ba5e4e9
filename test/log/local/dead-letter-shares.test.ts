import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { INGEST_READER, type NewDeadLetter } from '../../../log/log.ts'
import { openEnvironment } from '../../../log/tables/environment.ts'
import { scratchDirectory } from '../../scratch.ts'
import { append, entry } from '../contract.ts'
import { at, only } from '../only.ts'
import { openLocal } from './open-local.ts'

const MAX_BYTES = 8_000
const DEVICES = ['a', 'b', 'c', '']
/** What a letter without a payload is counted as, of a device with a name of one character. */
const OVERHEAD_BYTES = 256 + 'environment'.length + 'empty'.length + 'so'.length

interface Letter {
  readonly sequence: number
  readonly device: string
  readonly bytes: number
}

/** The plain rule: while there is too much, the oldest of the device that has most goes; of two alike that of the later name. */
class Model {
  letters: Letter[] = []
  last = 0
  expired = 0

  add(device: string, payload: number): void {
    this.letters.push({ sequence: ++this.last, device, bytes: OVERHEAD_BYTES + device.length + payload })
  }

  expire(): void {
    const bytesOf = (device: string) =>
      this.letters.reduce((sum, letter) => sum + (letter.device === device ? letter.bytes : 0), 0)
    while (this.letters.reduce((sum, { bytes }) => sum + bytes, 0) > MAX_BYTES) {
      const ranked = [...DEVICES].sort((one, other) => bytesOf(other) - bytesOf(one) || (one < other ? 1 : -1))
      const oldest = this.letters.find(({ device }) => device === ranked[0])
      this.letters = this.letters.filter((letter) => letter !== oldest)
      this.expired++
    }
  }
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      letters: fc.array(fc.tuple(fc.constantFrom(...DEVICES), fc.nat(900)), { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('purge' as const, 'replay' as const),
      device: fc.constantFrom('a', 'b', 'c'),
    }),
  },
)

test('when the dead letters are full, the oldest of the device that has most go, by a model; all are accounted for', async (t) => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
    const directory = scratchDirectory(t)
    const log = await openLocal(t, { directory, deadLetterBytesMax: MAX_BYTES })
    const model = new Model()
    for (const one of steps) {
      if (one.kind === 'add') {
        await append(log, ...one.letters.map((_, number) => entry(number)))
        const next = await only(log).end()
        const checkpoint = (await only(log).checkpoint(INGEST_READER)) ?? 0
        const letters = one.letters.map(([device, payload], index): NewDeadLetter => {
          const letter = { offset: at(checkpoint + index), device, stream: 'environment', receivedAt: 0 }
          return { ...letter, code: 'empty', reason: 'so', payload: Buffer.alloc(payload) }
        })
        // What was replayed before passes by.
        const stored = next - checkpoint - letters.length
        await only(log).advance(INGEST_READER, { next, stored, readings: 0, deadLetters: letters })
        for (const [device, payload] of one.letters) model.add(device, payload)
        model.expire()
      } else {
        await log[one.kind]({ device: one.device })
        model.letters = model.letters.filter(({ device }) => device !== one.device)
      }
      const kept = await log.deadLetters({ limit: 1_000 })
      assert.deepEqual(
        kept.map(({ sequence, device }) => [sequence, device]),
        model.letters.map(({ sequence, device }) => [sequence, device]),
      )
      const of = (device: string) => model.letters.filter((letter) => letter.device === device)
      for (const device of DEVICES) {
        const { found, next } = await log.lookBack({ device, limit: 1_000 })
        const back = found.map(({ sequence }) => sequence).reverse()
        assert.deepEqual([back, next], [of(device).map(({ sequence }) => sequence), undefined])
      }
      const counted = (await log.keptByCode('')).kept.map(({ device, count }) => [device, count])
      const named = DEVICES.filter((device) => device !== '' && of(device).length > 0)
      assert.deepEqual(
        counted,
        named.map((device) => [device, of(device).length]),
      )
      const { held, replayed, purged, expired } = await log.deadLetterCounts()
      const { deadLettered, balanced } = await log.ledger(INGEST_READER)
      assert.deepEqual([expired, balanced], [model.expired, true])
      assert.equal(deadLettered, held + replayed + purged + expired)
    }
    await log.stop()
    const environment = await openEnvironment(directory)
    const keys = [...environment.deadLetterShares.getKeys()]
    await environment.root.close()
    const listed = keys.filter(([kind]) => kind === 0).map(([, device, sequence]) => `${device} ${sequence}`)
    assert.deepEqual(listed.sort(), model.letters.map(({ device, sequence }) => `${device} ${sequence}`).sort())
    const devices = new Set(model.letters.map(({ device }) => device)).size
    assert.equal(keys.length, listed.length + 2 * devices, 'a device without letters leaves nothing')
  })
  await fc.assert(property, { numRuns: 30 })
})
