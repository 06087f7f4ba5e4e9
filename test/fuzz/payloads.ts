/**
 * Owns the fuzzing of the payload decoder: valid payloads of every shipped stream and version, single and batch, Avro and
 * JSON, each mutated. Always true of the decoder: it answers with readings or a rejection, and never throws.
 */

import { seededRandom } from '../../devices/simulator/signals/random.ts'
import { recordSource } from '../../devices/simulator/signals/values.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { Rejection } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { mutate } from './mutation.ts'

export interface PayloadReport {
  readonly payloads: number
  readonly decoded: number
  /** By code. */
  readonly rejected: Readonly<Record<string, number>>
  /** Resident memory after the first tenth, and at the end, bytes. */
  readonly residentBefore: number
  readonly residentAfter: number
}

const RECEIVED_AT = 1_763_900_000_000
const BATCH_MAX = 20

/** Throws, with the payload in hexadecimal, if the decoder does. */
export function fuzzPayloads(count: number, seed: number): PayloadReport {
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  const decoder = new Decoder(registry)
  const random = seededRandom(seed, 0)
  const seeds = registry.streams.flatMap((stream) => validPayloads(registry, stream.name, stream.timeField, seed))
  const rejected: Record<string, number> = {}
  let decoded = 0
  let residentBefore = 0
  for (let number = 0; number < count; number++) {
    if (number === Math.floor(count / 10)) residentBefore = resident()
    const { stream, payload } = seeds[random.below(seeds.length)] ?? { stream: '', payload: Buffer.alloc(0) }
    const mutated = mutate(random, payload)
    const answer = decodeOrName(decoder, stream, mutated, seed)
    if (answer instanceof Rejection) rejected[answer.code] = (rejected[answer.code] ?? 0) + 1
    else decoded++
  }
  return { payloads: count, decoded, rejected, residentBefore, residentAfter: resident() }
}

function decodeOrName(decoder: Decoder, stream: string, payload: Buffer, seed: number) {
  try {
    return decoder.decode({ device: 'd', stream, receivedAt: RECEIVED_AT, payload })
  } catch (cause) {
    throw new Error(`seed ${seed}: decoding ${payload.toString('hex')} for ${stream} threw`, { cause })
  }
}

function validPayloads(registry: Registry, stream: string, timeField: string, seed: number) {
  const payloads: { stream: string; payload: Buffer }[] = []
  const perMs = registry.stream(stream)?.precision === 'us' ? 1000 : 1
  for (const { version, schema } of registry.versions(stream)) {
    const fill = recordSource(schema, timeField, seededRandom(seed, version))
    const record = (index: number) => fill({ [timeField]: RECEIVED_AT * perMs - index })
    const batch = Array.from({ length: BATCH_MAX }, (_, index) => record(index))
    payloads.push({ stream, payload: registry.encode(stream, record(0), version) })
    payloads.push({ stream, payload: registry.encode(stream, batch, version) })
    payloads.push({ stream, payload: Buffer.from(JSON.stringify(record(0))) })
    payloads.push({ stream, payload: Buffer.from(JSON.stringify(batch)) })
  }
  return payloads
}

const resident = () => process.memoryUsage.rss()
