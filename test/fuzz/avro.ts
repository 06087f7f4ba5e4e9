/**
 * Owns the comparison of our Avro with PyPI's `fastavro` (`avro.py`): messages that it writes by random schemas in several versions, records
 * and batches, as they are and mutated, read by the newest version. Always true: both read the same values, or ours refuses, and
 * then for one of the reasons why it is stricter. What it takes, the other takes. Fingerprints are the other's, too.
 */

import assert from 'node:assert/strict'
import { type Random, seededRandom } from '../../devices/simulator/signals/random.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { pythonWith } from '../servers/python.ts'
import { randomVersions } from './avro-schemas.ts'
import { Comparison, type Report, registryOf } from './comparison.ts'
import { mutate } from './mutation.ts'
import { Python } from './python.ts'
import type { Said } from './said.ts'

const NOW = 1_763_900_000_000
const MESSAGES_PER_STREAM = 250
const HEADER_BYTES = 10
/** Why ours refuses a value that the other reads, and `avro.py` calls unfit. */
const UNFIT = [
  'a finite number is right',
  'a date such as',
  'a time of day such as',
  'a time such as',
  'a time without zone such as',
  'a UUID such as',
  'hexadecimal text of at most',
  'before the point and',
  'numbers; at most',
  'it may have',
  '" twice',
] as const
/** Why ours may refuse what the other takes, and writes: also in a field that the newest version leaves out. */
const UNSTORABLE = ['every value is null', 'where integers are exact', 'a tag must', 'the array is empty'] as const
/** Why besides it may refuse what the other takes of bytes that nobody wrote. */
const LOOSE = [
  'ts is ',
  'beyond 32 bits',
  'a boolean is 0 or 1',
  'of an enum',
  'of a union',
  'longer than 10 bytes',
  'claims',
  'not as long as it claims',
] as const

/** Throws `MissingServer`. */
export async function fuzzAvro(count: number, seed: number): Promise<Report> {
  const python = new Python(pythonWith('fastavro', 'pip install fastavro'), './avro.py')
  const random = seededRandom(seed, 0)
  const comparison = new Comparison(UNFIT)
  try {
    while (comparison.messages < count) {
      const versions = randomVersions(random)
      comparison.schemas += versions.length
      const registry = registryOf(Object.fromEntries(versions.map((each, index) => [`probe/${index + 1}.avsc`, each])))
      const headers = await python.ask<string[]>({ schemas: versions })
      const ours = registry.versions('probe').flatMap((each) => [each.fingerprint, each.batchFingerprint].map(headerOf))
      assert.deepEqual(headers, ours, `seed ${seed}, the fingerprints of ${JSON.stringify(versions)}`)
      const made = await python.ask<string[]>({ make: MESSAGES_PER_STREAM / 2, seed: random.below(2 ** 31), now: NOW })
      const payloads = made.flatMap((hex) => {
        const payload = Buffer.from(hex, 'hex')
        return [payload, mutated(random, payload)]
      })
      const said = await python.ask<(Said[] | null)[]>({ read: payloads.map((payload) => payload.toString('hex')) })
      const decoder = new Decoder(registry)
      for (const [index, payload] of payloads.entries()) {
        if (payload.length === 0) continue
        const outcome = decoder.decode({ device: 'd', stream: 'probe', receivedAt: NOW, payload })
        const words = `seed ${seed}, ${payload.toString('hex')} of\n${JSON.stringify(versions)}`
        const stricter = index % 2 === 0 ? UNSTORABLE : [...UNSTORABLE, ...LOOSE]
        comparison.judge(outcome, said[index]?.map(withoutEmptyTags) ?? null, stricter, words)
      }
    }
    return comparison.report()
  } finally {
    await python.stop()
  }
}

/** Mostly in its body: another fingerprint is soon told. */
function mutated(random: Random, payload: Buffer): Buffer {
  if (random.below(20) === 0) return mutate(random, payload)
  return Buffer.concat([payload.subarray(0, HEADER_BYTES), mutate(random, payload.subarray(HEADER_BYTES))])
}

function headerOf(fingerprint: string): string {
  const header = Buffer.from('c3010000000000000000', 'hex')
  header.writeBigUInt64LE(BigInt(`0x${fingerprint}`), 2)
  return header.toString('hex')
}

/** A tag's name says that it is one. An empty one is left out. */
const withoutEmptyTags = (said: Said): Said =>
  Object.fromEntries(Object.entries(said).filter(([name, [, value]]) => !(name.endsWith('tag') && value === '')))
