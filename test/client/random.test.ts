/**
 * A gateway that keeps a log, and at random cuts connections, stops, says that something passes, and is ahead of the loop, which is
 * slow at random: whatever happens, the loop gets each number once, in order. A seed that fails is printed.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, type SubscriptionState } from '../../client/client.ts'
import { type AppCommand, type AppSocket, reading, ScriptedGateway } from './scripted-gateway.ts'

const RUNS = 8
const NUMBERS = 500
const FRAME_READINGS = 8

/** Mulberry32: numbers from 0 to less than 1. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A log of numbers, served as docs/contract.md says. The cursor of a number is the count of those up to it. */
class LogServer {
  readonly #random: () => number
  #app: AppSocket | undefined
  /** The subscription's, and where it stands. */
  #sent: number | undefined
  #isLive = false
  #names = 0
  end = 0
  cuts = 0

  constructor(random: () => number) {
    this.#random = random
  }

  serve(app: AppSocket): void {
    this.#app = app
    this.#sent = undefined
  }

  /** One thing happens. */
  step(): void {
    const app = this.#app
    if (this.end < NUMBERS && this.#random() < 0.5) this.end += 1 + Math.floor(this.#random() * 20)
    if (app === undefined) return
    if (this.#random() < 0.01) {
      this.#cut(app)
      return
    }
    const command = app.commands.shift()
    if (command !== undefined) this.#obey(app, command)
    for (let frames = Math.floor(this.#random() * 6); frames > 0; frames--) this.#send(app)
  }

  #cut(app: AppSocket): void {
    this.cuts++
    this.#app = undefined
    const how = this.#random()
    if (how < 0.4) app.socket.terminate()
    else {
      if (how < 0.7) app.send({ type: 'closing', code: 4001, message: 'stopping', retryMs: 1 })
      app.socket.close(how < 0.7 ? 4001 : 4408)
    }
  }

  #obey(app: AppSocket, { type, id, start }: AppCommand): void {
    const subscription = `s${this.#names}`
    if (type === 'unsubscribe') {
      this.#sent = undefined
      app.send({ type: 'unsubscribed', id, subscription })
    } else if (this.#random() < 0.1) {
      app.send({ type: 'error', id, code: 'store-unavailable', message: 'in a moment', retry: true })
    } else {
      if (this.#random() < 0.3) this.#names++
      app.send({ type: 'subscribed', id, subscription: `s${this.#names}` })
      this.#sent = start === undefined ? this.end : Number((start as { after: string }).after)
      this.#isLive = false
    }
  }

  #send(app: AppSocket): void {
    if (this.#sent === undefined) return
    const subscription = `s${this.#names}`
    const from = this.#sent
    const to = Math.min(this.end, from + Math.floor(this.#random() * FRAME_READINGS))
    const readings = Array.from({ length: to - from }, (_, index) => reading(from + index))
    app.send({ type: 'readings', subscription, cursor: String(to), readings, merged: 0 })
    this.#sent = to
    if (to < this.end || this.#isLive) return
    this.#isLive = true
    app.send({ type: 'live', subscription, cursor: String(to) })
  }
}

for (let run = 0; run < RUNS; run++) {
  const seed = 1_000 + run
  test(`seed ${seed}`, async (t) => {
    const random = seeded(seed)
    const gateway = await ScriptedGateway.start(t)
    const server = new LogServer(random)
    let isOver = false
    t.after(() => {
      isOver = true
    })
    const stepping = (async () => {
      while (!isOver) {
        while (gateway.waiting > 0) server.serve(await gateway.app())
        server.step()
        await new Promise(setImmediate)
      }
    })()
    const states = new Set<SubscriptionState>()
    const app = connect(gateway.url, { random: () => random() * 0.01 })
    const subscription = app.subscribe('devices/+/telemetry/environment', {
      buffer: 1 + Math.floor(random() * 64),
      start: { after: '0' },
      onGap: (gap) => assert.fail(JSON.stringify(gap)),
      onState: (state) => states.add(state),
    })
    const numbers: number[] = []
    for await (const { values } of subscription) {
      numbers.push(values.temperature)
      if (numbers.length >= NUMBERS) break
      if (random() < 0.2) await new Promise(setImmediate)
      if (random() < 0.01) for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate)
    }
    isOver = true
    await stepping
    gateway.stop()
    assert.deepEqual(numbers, [...Array(NUMBERS).keys()])
    assert(states.has('paused'))
    t.diagnostic(`${server.cuts} cuts, ${gateway.connections} connections`)
  })
}
