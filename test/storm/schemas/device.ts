/**
 * Owns a device of the schema storm: it makes a message when it is told to, whether the one before was acknowledged or not, and keeps
 * each until it is.
 *
 * Always true: what it sends, it sends in the order in which it was made, and after a lost connection all that is not acknowledged
 * again, in that order. Bound: `UNACKNOWLEDGED_MAX`, beyond which the storm was too much and fails.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { generate } from 'mqtt-packet'
import { connectDevice } from '../../../bench/load-client.ts'
import { telemetryTopic } from '../../../identity/topics.ts'
import type { Registry } from '../../../schemas/registry.ts'
import { recordOf } from './versions.ts'

const AGAIN_MS = 100
const PACKET_IDS = 65_535
const UNACKNOWLEDGED_MAX = 20_000
const PUBACK = 0x40
/** Each so many-th message is a batch. */
const BATCH_EVERY = 8
const BATCH_READINGS = 3

export interface DeviceOptions {
  readonly id: string
  readonly token: string
  readonly port: number
  /** The time of its first reading; each is a millisecond after the one before. */
  readonly from: number
  /** Knows all versions. */
  readonly registry: Registry
}

export class Device {
  readonly id: string
  /** By the number of a reading: the version that it was sent by. */
  readonly versions: number[] = []
  messages = 0
  readonly #options: DeviceOptions
  /** By packet id, in the order in which they were made. */
  readonly #unacknowledged = new Map<number, Buffer>()
  readonly #running: Promise<void>
  #socket: Socket | undefined
  #isEnded = false

  constructor(options: DeviceOptions) {
    this.id = options.id
    this.#options = options
    this.#running = this.#run()
  }

  get isDone(): boolean {
    return this.#unacknowledged.size === 0
  }

  make(version: number): void {
    const { id, from, registry } = this.#options
    const isBatch = this.messages % BATCH_EVERY === 0
    const records = Array.from({ length: isBatch ? BATCH_READINGS : 1 }, () => {
      const number = this.versions.push(version) - 1
      return recordOf(version, number, from + number)
    })
    const payload = registry.encode('probe', isBatch ? records : (records[0] ?? assert.fail()), version)
    const messageId = 1 + (this.messages++ % PACKET_IDS)
    const topic = telemetryTopic(id, 'probe')
    const packet = generate({ cmd: 'publish', topic, payload, qos: 1, messageId, dup: false, retain: false })
    assert(this.#unacknowledged.size < UNACKNOWLEDGED_MAX, `${id} has too many messages that are not acknowledged`)
    this.#unacknowledged.set(messageId, packet)
    this.#socket?.write(packet)
  }

  async end(): Promise<void> {
    this.#isEnded = true
    this.#socket?.destroy()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isEnded) {
      try {
        const { id: device, token, port } = this.#options
        const socket = await connectDevice({ port, device, token })
        socket.on('error', () => undefined)
        socket.on('data', this.#reader())
        const closed = once(socket, 'close')
        for (const packet of this.#unacknowledged.values()) socket.write(packet)
        this.#socket = socket
        await closed
      } catch {
        // It is down.
      }
      this.#socket = undefined
      if (!this.#isEnded) await pause(AGAIN_MS)
    }
  }

  /** A PUBACK has four bytes, and nothing else comes. */
  #reader(): (chunk: Buffer) => void {
    let rest: Buffer = Buffer.alloc(0)
    return (chunk) => {
      const bytes = Buffer.concat([rest, chunk])
      let at = 0
      for (; at + 4 <= bytes.length; at += 4) {
        assert.equal(bytes[at], PUBACK)
        this.#unacknowledged.delete(bytes.readUInt16BE(at + 2))
      }
      rest = bytes.subarray(at)
    }
  }
}
