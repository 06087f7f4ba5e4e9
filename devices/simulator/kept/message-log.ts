/**
 * Owns the account of what one process sent and what came back, in `messages-<p>.tsv` (`run-folder.ts` says how it is written). Always true:
 * lines stand in the order of what they tell. Bound: `LINES_BYTES_MAX` wait to be written; then they are, at once, and the process with them.
 */

import { closeSync, createReadStream, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { SimulatorError } from '../simulator-error.ts'

const LINES_BYTES_MAX = 64 * 1024

/** What is to become of a message: by the platform's own decoder, and by who may publish where. */
export type Outcome = 'stored' | 'dropped' | `dead:${string}`

export interface ExpectedRow {
  readonly stream: string
  /** As apps see it: milliseconds since 1970, with up to three decimals. */
  readonly ts: number
  /** Of its values (`row-hash.ts`). */
  readonly hash: string
  /** Of its tags, where its stream has any: two of one time and other tags are two rows of the store. */
  readonly series?: string
}

export interface FaultOfMessage {
  readonly kind: string
  /** In the scenario, from 0; those by hand come behind. */
  readonly number: number
}

/** A message was sent for the first time. */
export interface SentEvent {
  readonly kind: 'sent'
  /** In its process, from 0. */
  readonly number: number
  /** Milliseconds since 1970, with three decimals; so are the other times. */
  readonly at: number
  readonly dueAt: number
  /** Of which the readings are; it may be another who sends them. */
  readonly device: string
  readonly topic: string
  readonly qos: number
  readonly payloadHash: string
  /** What made it what it is. */
  readonly fault: FaultOfMessage | undefined
  readonly outcome: Outcome
  readonly rows: readonly ExpectedRow[]
}

/** It was sent once more, with DUP: whoever is between may have it twice. */
export interface ResentEvent {
  readonly kind: 'resent'
  readonly number: number
  readonly at: number
}

export interface AcknowledgedEvent {
  readonly kind: 'acknowledged'
  readonly number: number
  readonly at: number
  /** The reason of MQTT 5; 0 without. */
  readonly code: number
}

/** Of a message that was acknowledged and is to be stored. */
export interface AcknowledgedReading {
  readonly device: string
  readonly stream: string
  readonly ts: number
  /** Milliseconds since 1970. */
  readonly acknowledgedAt: number
}

/** The device was told on its errors topic. */
export interface ToldEvent {
  readonly kind: 'told'
  readonly at: number
  readonly device: string
  readonly code: string
  readonly stream: string
}

export type RunEvent = SentEvent | ResentEvent | AcknowledgedEvent | ToldEvent

export class MessageLog {
  readonly #file: number
  #lines = ''

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  sent({ number, at, dueAt, device, topic, qos, payloadHash, fault, outcome, rows }: Omit<SentEvent, 'kind'>): void {
    let shown = ''
    for (const { stream, ts, hash, series } of rows) {
      shown += `${shown === '' ? '' : ','}${stream}/${ts}=${hash}${series === undefined ? '' : `~${series}`}`
    }
    const by = fault === undefined ? '-' : `${fault.kind}/${fault.number}`
    const what = `${device}\t${oneField(topic)}\t${qos}\t${payloadHash}\t${by}\t${outcome}\t${shown}`
    this.#add(`s\t${number}\t${at.toFixed(3)}\t${dueAt.toFixed(3)}\t${what}\n`)
  }

  resent(number: number, at: number): void {
    this.#add(`r\t${number}\t${at.toFixed(3)}\n`)
  }

  acknowledged(number: number, at: number, code: number): void {
    this.#add(`a\t${number}\t${at.toFixed(3)}\t${code}\n`)
  }

  told({ at, device, code, stream }: Omit<ToldEvent, 'kind'>): void {
    this.#add(`e\t${at.toFixed(3)}\t${device}\t${oneField(code)}\t${oneField(stream)}\n`)
  }

  flush(): void {
    const bytes = Buffer.from(this.#lines)
    this.#lines = ''
    for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written)
  }

  close(): void {
    this.flush()
    closeSync(this.#file)
  }

  #add(line: string): void {
    this.#lines += line
    if (this.#lines.length >= LINES_BYTES_MAX) this.flush()
  }
}

/** What others have written may have anything in it. */
const oneField = (text: string): string => text.replaceAll(/[\t\r\n]/g, ' ')

/** The events of a `messages-<p>.tsv`; a last line without its end is left out. Throws a `SimulatorError` `bad-run` for what is none. */
export async function* readEvents(path: string): AsyncGenerator<RunEvent> {
  const endsWhole = lastByteOf(path) === LINE_END
  let line: string | undefined
  let number = 0
  for await (const next of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line !== undefined) yield eventOf(line, path, number)
    line = next
    number++
  }
  if (line !== undefined && endsWhole) yield eventOf(line, path, number)
}

const LINE_END = 0x0a
const FIELDS = { s: 11, r: 3, a: 4, e: 5 } as const

/** Undefined of an empty file. */
function lastByteOf(path: string): number | undefined {
  const file = openSync(path, 'r')
  try {
    const last = Buffer.alloc(1)
    const { size } = fstatSync(file)
    return size > 0 && readSync(file, last, 0, 1, size - 1) === 1 ? last[0] : undefined
  } finally {
    closeSync(file)
  }
}

function eventOf(line: string, path: string, number: number): RunEvent {
  const fields = line.split('\t')
  const [kind, ...rest] = fields
  const [a = '', b = '', c = '', d = ''] = rest
  if (fields.length === FIELDS[kind as keyof typeof FIELDS]) {
    if (kind === 'r') return { kind: 'resent', number: Number(a), at: Number(b) }
    if (kind === 'a') return { kind: 'acknowledged', number: Number(a), at: Number(b), code: Number(c) }
    if (kind === 'e') return { kind: 'told', at: Number(a), device: b, code: c, stream: d }
    const [, , , , topic = '', qos = '', payloadHash = '', fault = '', outcome = '', rows = ''] = rest
    return {
      kind: 'sent',
      number: Number(a),
      at: Number(b),
      dueAt: Number(c),
      device: d,
      topic,
      qos: Number(qos),
      payloadHash,
      fault: fault === '-' ? undefined : faultOf(fault),
      outcome: outcome as Outcome,
      rows: rows === '' ? [] : rows.split(',').map(rowOf),
    }
  }
  throw new SimulatorError('bad-run', `${path}:${number} is no event of a run: ${JSON.stringify(line.slice(0, 80))}`)
}

function faultOf(text: string): FaultOfMessage {
  const [kind = '', number] = text.split('/')
  return { kind, number: Number(number) }
}

function rowOf(text: string): ExpectedRow {
  const [, stream = '', ts = '', hash = '', series] = /^(.*)\/(.*)=([^~]*)(?:~(.*))?$/.exec(text) ?? []
  return { stream, ts: Number(ts), hash, ...(series !== undefined && { series }) }
}
