/**
 * Owns the numbers of a process's messages, and what is kept of each for the verification, if it is kept: what is to become of it, by the
 * platform's own decoder. Always true: numbers are those of the order in which messages were sent. The hash of all payloads does not depend
 * on how devices take turns: each has its own.
 */

import { createHash, type Hash } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { Rejection } from '../../../schemas/reading.ts'
import type { Made } from '../faults/message-faults.ts'
import type { AcknowledgedReading, ExpectedRow, MessageLog, Outcome } from '../kept/message-log.ts'
import { hashOf, rowHash, seriesHash } from '../kept/row-hash.ts'
import type { Source } from '../messages/source.ts'

interface Sent {
  readonly device: string
  readonly qos: number
  /** `performance.now()` time. */
  readonly dueAt: number
  readonly made: Made
  readonly source: Pick<Source, 'device' | 'read'>
}

export class Journal {
  readonly #log: MessageLog | undefined
  readonly #tagsOf: (stream: string) => readonly string[]
  readonly #payloads = new Map<string, Hash>()
  /** Sent as it should be, and not acknowledged: where its last reading is to be. */
  readonly #toBeStored = new Map<number, { readonly device: string; readonly stream: string; readonly ts: number }>()
  #acknowledged: AcknowledgedReading | undefined
  #count = 0

  /** Without a log only the payloads' hash is made. `tagsOf`: the columns by which a series of a stream is known. */
  constructor(log: MessageLog | undefined, tagsOf: (stream: string) => readonly string[]) {
    this.#log = log
    this.#tagsOf = tagsOf
  }

  /** Milliseconds since 1970, to the microsecond. */
  now(): number {
    return performance.timeOrigin + performance.now()
  }

  /** Its number. */
  sent({ device, qos, dueAt, made, source }: Sent): number {
    const number = this.#count++
    const { topic, payload, fault, isForbidden } = made
    this.#hashOf(device).update(payload)
    const log = this.#log
    if (log === undefined) return number
    const at = this.now()
    const read = this.#expected(source.read(topic, payload, Math.floor(at)))
    // Its readings are kept, to be looked for where they must not be.
    const expected = isForbidden ? { ...read, outcome: 'dropped' as const } : read
    const last = expected.rows.at(-1)
    if (qos > 0 && fault === undefined && last !== undefined)
      this.#toBeStored.set(number, { device: source.device, stream: last.stream, ts: last.ts })
    log.sent({
      number,
      at,
      dueAt: performance.timeOrigin + dueAt,
      device: isForbidden ? ownerOf(topic, device) : source.device,
      topic,
      qos,
      payloadHash: hashOf(payload),
      fault: fault && { kind: fault.fault.kind, number: fault.number },
      ...expected,
    })
    return number
  }

  /** What a connection begins with: how often depends on links, so it is in no hash of payloads. */
  born(
    device: string,
    { topic, payload }: Pick<Made, 'topic' | 'payload'>,
    source: Pick<Source, 'device' | 'read'>,
  ): void {
    const log = this.#log
    if (log === undefined) return
    const at = this.now()
    const expected = this.#expected(source.read(topic, payload, Math.floor(at)))
    const payloadHash = hashOf(payload)
    log.sent({
      number: this.#count++,
      at,
      dueAt: at,
      device,
      topic,
      qos: 0,
      payloadHash,
      fault: undefined,
      ...expected,
    })
  }

  resent(number: number): void {
    this.#log?.resent(number, this.now())
  }

  acknowledged(number: number, code: number): void {
    if (this.#log === undefined) return
    const at = this.now()
    this.#log.acknowledged(number, at, code)
    const stored = this.#toBeStored.get(number)
    if (stored === undefined) return
    this.#toBeStored.delete(number)
    this.#acknowledged = { ...stored, acknowledgedAt: at }
  }

  /** The newest since the last time. */
  takeAcknowledged(): AcknowledgedReading | undefined {
    const acknowledged = this.#acknowledged
    this.#acknowledged = undefined
    return acknowledged
  }

  /** A message on the errors topic; its code. */
  told(device: string, payload: Buffer): string {
    const { code, stream } = readError(payload)
    this.#log?.told({ at: this.now(), device, code, stream })
    return code
  }

  /** By device, in hexadecimal. */
  payloadHashes(): Record<string, string> {
    return Object.fromEntries([...this.#payloads].map(([device, hash]) => [device, hash.copy().digest('hex')]))
  }

  flush(): void {
    this.#log?.flush()
  }

  close(): void {
    this.#log?.close()
  }

  #expected(read: ReturnType<Source['read']>): { outcome: Outcome; rows: readonly ExpectedRow[] } {
    if (read instanceof Rejection) return { outcome: `dead:${read.code}`, rows: [] }
    const rows = read.map(({ stream, ts, values }): ExpectedRow => {
      const series = seriesHash(values, this.#tagsOf(stream))
      return { stream, ts, hash: rowHash(values), ...(series !== undefined && { series }) }
    })
    return { outcome: 'stored', rows }
  }

  #hashOf(device: string): Hash {
    const known = this.#payloads.get(device)
    if (known !== undefined) return known
    const hash = createHash('sha256')
    this.#payloads.set(device, hash)
    return hash
  }
}

/** Whose readings the topic is of. */
const ownerOf = (topic: string, sender: string): string => /^devices\/([^/]+)\//.exec(topic)?.[1] ?? sender

/** The contract's JSON; `unreadable` if it is something else, which is counted as what it is. */
function readError(payload: Buffer): { code: string; stream: string } {
  try {
    const parsed: unknown = JSON.parse(payload.toString())
    if (typeof parsed === 'object' && parsed !== null && 'code' in parsed) {
      const stream = 'stream' in parsed ? parsed.stream : undefined
      return { code: String(parsed.code), stream: String(stream ?? '') }
    }
  } catch {
    // Told below: what cannot be read is still a message that something was set aside.
  }
  return { code: 'unreadable', stream: '' }
}
