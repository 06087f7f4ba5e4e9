/**
 * Owns what a run sent and what was acknowledged, as its folder tells it (`../kept/run-folder.ts`), in columns: messages, and their readings.
 *
 * Always true: messages are numbered in the order in which they were sent, readings in that of their messages; a device's messages are all
 * of one process. Bound: about 100 bytes a message, 30 a reading.
 */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../../platform/errors.ts'
import {
  type AcknowledgedEvent,
  type ExpectedRow,
  type RunEvent,
  readEvents,
  type SentEvent,
  type ToldEvent,
} from '../kept/message-log.ts'
import { SimulatorError } from '../simulator-error.ts'
import { Names, Numbers } from './numbers.ts'
import { Outages } from './outages.ts'

const MESSAGES_FILE = /^messages-\d+\.tsv$/
/** "No matching subscribers" and the like are no refusals; 0x99 is of what was set aside, which is kept. */
const REFUSED_FROM = 0x80
const SET_ASIDE = 0x99
const HASH_HALF_CHARS = 8

/** Times are milliseconds since 1970; positions count the events of all files. */
export class Sent {
  readonly devices = new Names()
  readonly streams = new Names()
  readonly topics = new Names()
  readonly outcomes = new Names()
  /** Kinds. */
  readonly faults = new Names()
  /** Of the tags of a reading; 0 is of those whose tags are not known. */
  readonly series = new Names()
  readonly outages = new Outages()

  readonly #at = new Numbers(Float64Array)
  readonly #dueAt = new Numbers(Float64Array)
  readonly #acknowledgedAt = new Numbers(Float64Array)
  readonly #code = new Numbers(Uint8Array)
  readonly #device = new Numbers(Uint32Array)
  readonly #topic = new Numbers(Uint32Array)
  readonly #qos = new Numbers(Uint8Array)
  readonly #outcome = new Numbers(Uint8Array)
  readonly #fault = new Numbers(Uint8Array)
  /** Of the fault in the scenario, 0 for none; those of the scenario begin at 1. */
  readonly #faultNumber = new Numbers(Uint32Array)
  readonly #high = new Numbers(Uint32Array)
  readonly #low = new Numbers(Uint32Array)
  readonly #times = new Numbers(Uint32Array)
  readonly #firstPosition = new Numbers(Float64Array)
  readonly #lastPosition = new Numbers(Float64Array)
  readonly #firstRow = new Numbers(Uint32Array)

  readonly #rowMessage = new Numbers(Uint32Array)
  readonly #rowStream = new Numbers(Uint8Array)
  readonly #rowMicros = new Numbers(Float64Array)
  readonly #rowHigh = new Numbers(Uint32Array)
  readonly #rowLow = new Numbers(Uint32Array)
  readonly #rowSeries = new Numbers(Uint32Array)
  #position = 0

  constructor() {
    this.series.add('')
    this.faults.add('-')
  }

  /** Reads all `messages-<p>.tsv` of a run folder. Throws a `SimulatorError` `bad-run` if it has none. */
  static async read(directory: string): Promise<Sent> {
    const sent = new Sent()
    for (const file of filesOf(directory)) await sent.#readFile(join(directory, file))
    return sent
  }

  async #readFile(path: string): Promise<void> {
    const begin = this.messages
    for await (const event of readEvents(path)) {
      if (event.kind !== 'told') this.#check(event, begin, path)
      if (event.kind === 'sent') this.add(event)
      else if (event.kind === 'acknowledged') this.acknowledge(event, begin)
      else if (event.kind === 'resent') this.resend(begin + event.number)
    }
  }

  /** The messages of a process are numbered in the order of their sending. */
  #check({ kind, number }: Exclude<RunEvent, ToldEvent>, begin: number, path: string): void {
    const next = this.messages - begin
    if (kind === 'sent' ? number === next : number < next) return
    const what =
      kind === 'sent' ? `message ${number} stands where message ${next} should` : `message ${number} was never sent`
    throw new SimulatorError('bad-run', `${path} is damaged: ${what}`)
  }

  add(event: Omit<SentEvent, 'kind'>): void {
    const message = this.messages
    this.#at.push(event.at)
    this.#dueAt.push(event.dueAt)
    this.#acknowledgedAt.push(Number.NaN)
    this.#code.push(0)
    this.#device.push(this.devices.add(event.device))
    this.#topic.push(this.topics.add(event.topic))
    this.#qos.push(event.qos)
    this.#outcome.push(this.outcomes.add(event.outcome))
    this.#fault.push(this.faults.add(event.fault?.kind ?? '-'))
    this.#faultNumber.push(event.fault === undefined ? 0 : event.fault.number + 1)
    this.#high.push(highOf(event.payloadHash))
    this.#low.push(lowOf(event.payloadHash))
    this.#times.push(1)
    this.#firstPosition.push(this.#position)
    this.#lastPosition.push(this.#position++)
    this.#firstRow.push(this.rows)
    for (const row of event.rows) this.#addRow(message, row)
    if (event.qos > 0) this.outages.sent(event.at)
  }

  #addRow(message: number, { stream, ts, hash, series }: ExpectedRow): void {
    this.#rowMessage.push(message)
    this.#rowStream.push(this.streams.add(stream))
    this.#rowMicros.push(microsOf(ts))
    this.#rowHigh.push(highOf(hash))
    this.#rowLow.push(lowOf(hash))
    this.#rowSeries.push(series === undefined ? 0 : this.series.add(series))
  }

  resend(message: number): void {
    this.#times.set(message, this.#times.at(message) + 1)
    this.#lastPosition.set(message, this.#position++)
  }

  /** `begin`: the number of the first message of its process. */
  acknowledge({ number, at, code }: Omit<AcknowledgedEvent, 'kind'>, begin = 0): void {
    const message = begin + number
    if (Number.isNaN(this.#acknowledgedAt.at(message))) this.#acknowledgedAt.set(message, at)
    this.#code.set(message, code)
    this.#position++
    this.outages.acknowledged(at)
  }

  get messages(): number {
    return this.#at.length
  }

  get rows(): number {
    return this.#rowMessage.length
  }

  sentAt = (message: number): number => this.#at.at(message)
  dueAt = (message: number): number => this.#dueAt.at(message)
  /** NaN if it was not. */
  acknowledgedAt = (message: number): number => this.#acknowledgedAt.at(message)
  device = (message: number): number => this.#device.at(message)
  topic = (message: number): number => this.#topic.at(message)
  qos = (message: number): number => this.#qos.at(message)
  outcome = (message: number): string => this.outcomes.text(this.#outcome.at(message))
  /** Its kind; `-` for none. */
  fault = (message: number): string => this.faults.text(this.#fault.at(message))
  /** In the scenario; undefined of none. */
  faultNumber(message: number): number | undefined {
    const number = this.#faultNumber.at(message)
    return number === 0 ? undefined : number - 1
  }
  payloadHash = (message: number): string => hashText(this.#high.at(message), this.#low.at(message))
  /** How often it was sent. */
  times = (message: number): number => this.#times.at(message)
  firstPosition = (message: number): number => this.#firstPosition.at(message)
  lastPosition = (message: number): number => this.#lastPosition.at(message)
  firstRow = (message: number): number => this.#firstRow.at(message)
  endRow = (message: number): number => (message + 1 < this.messages ? this.#firstRow.at(message + 1) : this.rows)

  isAcknowledged = (message: number): boolean => !Number.isNaN(this.#acknowledgedAt.at(message))
  /** Why it was acknowledged as it was, by MQTT 5; 0 without. */
  code = (message: number): number => this.#code.at(message)
  /** Acknowledged, and dropped, as the reason code says. */
  isRefused(message: number): boolean {
    const code = this.#code.at(message)
    return code >= REFUSED_FROM && code !== SET_ASIDE
  }
  /** The platform has taken it, and is to keep it. */
  isPromised = (message: number): boolean => this.isAcknowledged(message) && this.outcome(message) !== 'dropped'

  messageOf = (row: number): number => this.#rowMessage.at(row)
  rowDevice = (row: number): number => this.#device.at(this.#rowMessage.at(row))
  rowStream = (row: number): number => this.#rowStream.at(row)
  rowMicros = (row: number): number => this.#rowMicros.at(row)
  rowSeries = (row: number): number => this.#rowSeries.at(row)
  isHash = (row: number, high: number, low: number): boolean =>
    this.#rowHigh.at(row) === high && this.#rowLow.at(row) === low
  rowHash = (row: number): string => hashText(this.#rowHigh.at(row), this.#rowLow.at(row))

  /** For a person: device, stream, time. */
  showRow = (row: number): string =>
    `${this.devices.text(this.rowDevice(row))} ${this.streams.text(this.rowStream(row))} ${timeText(this.rowMicros(row))}`

  /** For a person: device and topic, when it was sent, what was done to it. */
  showMessage(message: number): string {
    const fault = this.fault(message)
    const what = `${this.devices.text(this.device(message))} on ${this.topics.text(this.topic(message))}`
    return `${what}, sent at ${timeText(microsOf(this.sentAt(message)))}${fault === '-' ? '' : ` (${fault})`}`
  }
}

export const microsOf = (ms: number): number => Math.round(ms * 1000)
export const highOf = (hash: string): number => Number.parseInt(hash.slice(0, HASH_HALF_CHARS), 16)
export const lowOf = (hash: string): number => Number.parseInt(hash.slice(HASH_HALF_CHARS), 16)
const hashText = (high: number, low: number): string =>
  high.toString(16).padStart(HASH_HALF_CHARS, '0') + low.toString(16).padStart(HASH_HALF_CHARS, '0')

/** ISO 8601, to the microsecond where it is one. */
export function timeText(micros: number): string {
  const text = new Date(Math.floor(micros / 1000)).toISOString()
  const rest = micros % 1000
  return rest === 0 ? text : text.replace('Z', `${String(rest).padStart(3, '0')}Z`)
}

function filesOf(directory: string): string[] {
  let files: string[]
  try {
    files = readdirSync(directory).filter((file) => MESSAGES_FILE.test(file))
  } catch (cause) {
    throw new SimulatorError('bad-run', `${directory} is no run folder: ${messageOf(cause)}`, { cause })
  }
  if (files.length > 0) return files.sort()
  throw new SimulatorError('bad-run', `${directory} is no run folder: there is no messages-0.tsv in it`)
}
