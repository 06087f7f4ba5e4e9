/**
 * Owns one app of the resume storm: it connects to any of the gateways, is cut off in one way or another, and goes on from its last
 * cursor, again and again. What it had is told to its account.
 *
 *   away --connects--> open --subscribed--> catching up --live--> live       (from each: over, and away again)
 */

import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { Random } from '../../../devices/simulator/signals/random.ts'
import type { Decoder } from '../../../schemas/decoder.ts'
import { type Reading, Rejection } from '../../../schemas/reading.ts'
import { Changes, until } from '../../until.ts'
import type { Account, Had } from './account.ts'
import type { Chronicle } from './chronicle.ts'
import { type Connection, EventConnection, type Frame, type Listener, WebSocketConnection } from './connection.ts'
import { numberOf } from './fleet.ts'
import { readRawFrame } from './raw-frame.ts'

const STAY_MS_MAX = 200
const AWAY_MS_MAX = 60
const REFUSED_MS_MAX = 500
const CUT_BYTES_MAX = 2 ** 20
const RATE_MAX = 100

export type Door = 'text' | 'undecoded' | 'events'
const ENDINGS = ['bytes', 'cut', 'reset', 'close', 'stalled', 'updated'] as const
type Ending = (typeof ENDINGS)[number]

export interface AppOptions {
  readonly name: string
  readonly door: Door
  readonly filters: readonly string[]
  readonly isRated: boolean
  readonly start: 'now' | 'latest'
  readonly token: string
  readonly random: Random
  /** The address of one of the gateways. */
  readonly gateway: () => string
  /** Whether nothing may be missing there. */
  readonly hasPlaces: (url: string) => boolean
  readonly beganAt: number
  /** Whether it is to stay until it is live. */
  readonly isCalm: () => boolean
}

/** What happened to all apps. */
export class Happenings {
  /** Connections that went on from a cursor, and of those the ones that came from before the log's first message. */
  resumes = 0
  resumesBeforeLog = 0
  refused = 0
  /** Ends of connections that were subscribed, and of those the ones before `live`. */
  disconnects = 0
  inCatchUp = 0
  readonly endings: Record<string, number> = {}
  readonly findings: string[] = []
}

export class App extends Changes {
  readonly account: Account
  readonly name: string
  readonly #options: AppOptions
  readonly #chronicle: Chronicle
  readonly #decoder: Decoder
  readonly #happenings: Happenings
  #cursor = ''
  #connection: Connection | undefined
  #subscription: string | undefined
  #isRated = false
  #isLive = false
  #wasRefused = false
  #url = ''
  #how = ''
  /** It stays away until this has resolved. */
  #away: Promise<void> | undefined
  isAway = true

  constructor(
    options: AppOptions,
    account: Account,
    dependencies: { chronicle: Chronicle; decoder: Decoder; happenings: Happenings },
  ) {
    super()
    this.#options = options
    this.name = options.name
    this.account = account
    this.#chronicle = dependencies.chronicle
    this.#decoder = dependencies.decoder
    this.#happenings = dependencies.happenings
  }

  /** Comes for its first cursor. */
  async begin(): Promise<void> {
    await until(async () => {
      await this.#untilLive()
      return this.#cursor !== '' && !this.#cursor.includes('!')
    })
  }

  /** Comes and goes until it is over. */
  async run(isOver: () => boolean): Promise<void> {
    const { random } = this.#options
    while (!isOver()) {
      this.isAway = true
      await this.#away
      await pause(random.below(this.#wasRefused ? REFUSED_MS_MAX : AWAY_MS_MAX))
      this.isAway = false
      const ending = this.#ending()
      if (this.#options.isCalm()) await this.#untilLive()
      else await this.#stay((connection) => this.#end(connection, ending))
    }
  }

  /** Stays away from its next end on, until `until` has resolved. */
  stayAway(until: Promise<void>): void {
    this.#away = until
  }

  /** Comes once more, until it is live behind `end`. */
  async finish(end: number): Promise<void> {
    await until(async () => {
      if (this.account.place >= end || this.account.finding !== undefined) return true
      await this.#untilLive()
      this.account.settle()
      return false
    })
  }

  #ending(): Ending {
    const { random, door } = this.#options
    const ending = ENDINGS[random.below(ENDINGS.length)] ?? 'cut'
    return ending === 'updated' && door !== 'text' ? 'bytes' : ending
  }

  async #end(connection: Connection, ending: Ending): Promise<void> {
    const { random } = this.#options
    // As often few as many.
    if (ending === 'bytes') connection.cut(CUT_BYTES_MAX ** random.next())
    else if (random.below(2) === 0) await this.#liveOrOver(connection)
    if (ending === 'stalled') connection.pause()
    await pause(random.below(STAY_MS_MAX))
    if (ending === 'stalled') {
      connection.resume()
      await pause(random.below(STAY_MS_MAX))
    }
    if (ending === 'updated' && this.#subscription !== undefined) {
      const maxRate = random.below(2) === 0 ? null : 1 + random.below(RATE_MAX)
      connection.send({ type: 'update', id: '2', subscription: this.#subscription, maxRate })
      await pause(random.below(STAY_MS_MAX))
    }
    if (ending === 'reset') connection.reset()
    else if (ending === 'close') connection.close()
    else connection.cut()
  }

  /** One connection, for as long as `use` takes, or it lives. */
  async #stay(use: (connection: Connection) => Promise<void>): Promise<void> {
    const url = this.#options.gateway()
    this.#url = url
    this.#how = `${this.name} by ${url} from ${this.#cursor || 'now'}`
    this.#isLive = false
    this.#subscription = undefined
    const came = this.#cursor
    const isBeforeLog = came !== '' && (this.#chronicle.cursor(came).position[0] ?? 0) < (await this.#chronicle.first())
    let connection: Connection | undefined
    await new Promise<void>((resolve) => {
      const listener: Listener = {
        opened: () => {
          assert(connection !== undefined)
          this.#connection = connection
          this.#subscribe(connection)
          use(connection).catch((error: unknown) => this.#find(String(error)))
        },
        frame: (frame) => this.#take(frame),
        over: (why) => {
          this.#ended(why, came, isBeforeLog)
          resolve()
        },
      }
      connection = this.#connect(url, listener)
    })
  }

  #ended(why: string, came: string, isBeforeLog: boolean): void {
    const happenings = this.#happenings
    this.#connection = undefined
    this.change()
    this.#wasRefused = this.#subscription === undefined
    if (this.#wasRefused) {
      happenings.refused++
      if (/^400 /.test(why)) this.#find(why)
      return
    }
    this.account.interrupted()
    happenings.disconnects++
    if (!this.#isLive) happenings.inCatchUp++
    const kind = why.replace(/[^a-z0-9].*/i, '')
    happenings.endings[kind] = (happenings.endings[kind] ?? 0) + 1
    if (came === '') return
    happenings.resumes++
    if (isBeforeLog) happenings.resumesBeforeLog++
  }

  #connect(url: string, listener: Listener): Connection {
    const { token, door, filters, start } = this.#options
    if (door !== 'events') {
      return new WebSocketConnection(url, token, door === 'text' ? 'telltale.v1' : 'telltale.v1.avro', listener)
    }
    const query = new URLSearchParams(filters.map((filter): [string, string] => ['filter', filter]))
    this.#isRated = this.#isToBeRated
    if (this.#cursor === '') query.set('start', start)
    if (this.#isRated) query.set('maxRate', '10')
    return new EventConnection(url, token, query, this.#cursor, listener)
  }

  /** Its first cursor comes without a rate: what it counts from must be known. */
  get #isToBeRated(): boolean {
    return this.#options.isRated && this.#cursor !== ''
  }

  #subscribe(connection: Connection): void {
    const { door, filters, start } = this.#options
    if (door === 'events') return
    const after = this.#cursor
    this.#isRated = this.#isToBeRated
    connection.send({
      ...{ type: 'subscribe', id: '1', filter: filters, start: after === '' ? start : { after } },
      ...(this.#isRated && { maxRate: 10 }),
    })
  }

  #take(frame: Frame | Buffer): void {
    try {
      if (Buffer.isBuffer(frame)) this.#takeUndecoded(frame)
      else this.#takeFrame(frame)
    } catch (error) {
      this.#find(String(error))
    }
  }

  #takeFrame(frame: Frame): void {
    const { type } = frame
    if (type === 'subscribed') this.#takeSubscribed(frame)
    else if (type === 'error') this.#takeError(frame)
    else if (type !== 'welcome' && type !== 'closing') this.#takeMoved(frame)
  }

  #takeSubscribed({ subscription, replaces, maxRate }: Frame): void {
    assert(replaces === undefined || replaces === this.#subscription, `${replaces} was replaced`)
    if (replaces !== undefined) this.account.interrupted()
    this.#subscription = String(subscription)
    this.#isRated = maxRate !== undefined
  }

  /** A frame that moves the cursor on. */
  #takeMoved(frame: Frame): void {
    const { type } = frame
    assert.equal(frame.subscription, this.#subscription)
    const text = String(type === 'gap' ? frame.before : frame.cursor)
    this.#cursor = text
    const [to, how] = [this.#chronicle.cursor(text), this.#how]
    if (type === 'live') this.#nowLive()
    // The last readings come in no order of the log, nor does what a store has of a gap.
    if ((to.within !== undefined && type !== 'gap') || frame.byTime) return
    if (type === 'live') {
      this.account.take({ kind: 'place', to, how })
    } else if (type === 'gap') {
      const [after, missed] = [this.#chronicle.cursor(String(frame.after)), Number(frame.missed)]
      assert(!this.#options.hasPlaces(this.#url), `${JSON.stringify(frame)} where the store has everything`)
      this.account.take({ kind: 'gap', to, how, after, missed })
    } else {
      assert.equal(type, 'readings')
      const readings = (frame.readings as Reading[]).map((reading) => this.#had(reading))
      this.account.take({ kind: 'readings', to, how, readings, merged: Number(frame.merged), isRated: this.#isRated })
    }
  }

  #takeUndecoded(bytes: Buffer): void {
    const { subscription, cursor, messages } = readRawFrame(bytes)
    assert.equal(subscription, this.#subscription)
    this.#cursor = cursor
    const readings = messages.flatMap(({ device, stream, received, payload, skip }) => {
      const decoded = this.#decoder.decode({ device, stream, receivedAt: received, payload })
      assert(!(decoded instanceof Rejection), `${device} sent what cannot be decoded`)
      return decoded.slice(skip).map((reading) => this.#had({ ...reading, received }))
    })
    const to = this.#chronicle.cursor(cursor)
    this.account.take({ kind: 'readings', to, how: this.#how, readings, merged: 0, isRated: false })
  }

  #had({ device, ts, received }: Reading): Had {
    return { device, number: numberOf(device, ts, this.#options.beganAt), received }
  }

  #takeError(frame: Frame): void {
    assert(frame.retry === true, JSON.stringify(frame))
    const { endings } = this.#happenings
    const code = String(frame.code)
    endings[code] = (endings[code] ?? 0) + 1
    this.#connection?.cut()
  }

  #nowLive(): void {
    this.#isLive = true
    this.change()
  }

  /** One connection, until it is live. */
  #untilLive(): Promise<void> {
    return this.#stay(async (connection) => {
      await this.#liveOrOver(connection)
      connection.close()
    })
  }

  #liveOrOver(connection: Connection): Promise<void> {
    return this.until(() => this.#isLive || this.#connection !== connection, 'live, or the end of the connection')
  }

  protected override came(): string {
    return `cursors up to ${this.#cursor}`
  }

  #find(what: string): void {
    this.#happenings.findings.push(`${what}; ${this.#how}`)
    this.#connection?.cut()
  }
}
