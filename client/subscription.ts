/**
 * Owns one subscription: what waits for the app's loop, where it goes on after a break, and when the gateway has to wait.
 *
 *   connecting --subscribed--> catching-up --live--> live
 *   catching-up, live --half of `buffer` waits--> paused --an eighth is left--> resuming --subscribed--> catching-up
 *   catching-up, live, resuming --the connection is lost--> connecting; paused --an eighth is left, no connection--> connecting
 *   any --close(), the loop is left, an error--> ended
 *
 * Apps see `resuming` as `catching-up`: they have the connection.
 *
 * Always true: what the loop gets has no hole that it is not told of and nothing twice: the gateway is asked to go on after the
 * cursor of the last frame that was kept. The snapshot of `latest`, which the gateway begins again after a break, is given whole.
 * Bound: `buffer` readings wait, and a frame; what comes beyond that before the gateway has stopped is let go, and comes again. A
 * snapshot has a reading of each series that was asked for.
 */

import { TelltaleError } from './error.ts'
import type { SubscriptionFrame } from './frames.ts'
import { checkCount, checkNames, type Names } from './options.ts'
import type { Batch, Gap, Reading, SubscriptionEvent } from './readings.ts'

export type SubscriptionState = 'connecting' | 'catching-up' | 'live' | 'paused' | 'ended'

/** Where a subscription begins: now; with the last reading of each series; so long ago (`15m`); behind a cursor. */
export type Start = 'now' | 'latest' | { readonly last: string } | { readonly after: string }

export type Reduce = 'last' | 'first' | 'mean' | 'min' | 'max' | 'count'

/** At most so many readings a second of each series, and what becomes of the others. */
export interface Rate {
  /** Null, in `update`: as they come from now on. */
  readonly maxRate?: number | null | undefined
  /** By default `last`. */
  readonly reduce?: Reduce | undefined
}

export interface SubscribeOptions<Field extends string = string> extends Rate {
  /** Undefined: as they come. */
  readonly maxRate?: number | undefined
  /** By default `now`. */
  readonly start?: Start | undefined
  /** Only these columns, and tags. */
  readonly fields?: readonly Field[] | undefined
  /** Leaves out readings that the platform had so long after their own time: `1m`. */
  readonly maxDelay?: string | undefined
  /** The most readings that wait for the loop; by default 10,000. */
  readonly buffer?: number | undefined
  /** Called where readings are missing, when the loop has come there. */
  readonly onGap?: ((gap: Gap) => void) | undefined
  /** At the beginning, and at each change; `connecting` with why for each attempt that failed, too. */
  readonly onState?: ((state: SubscriptionState, why: TelltaleError | undefined) => void) | undefined
  /** Ends the subscription, and the loop, when it aborts. */
  readonly signal?: AbortSignal | undefined
}

const RATE: Names<Rate> = { maxRate: true, reduce: true }
const SUBSCRIBE: Names<SubscribeOptions> = {
  start: true,
  fields: true,
  ...RATE,
  maxDelay: true,
  buffer: true,
  onGap: true,
  onState: true,
  signal: true,
}

/** Throws `bad-option`, or `bad-rate` as the gateway does. */
export function checkSubscribe(options: SubscribeOptions): void {
  checkNames('subscribe', SUBSCRIBE, options)
  const { maxRate, reduce, buffer } = options
  if (maxRate === null) throw new TelltaleError('bad-rate', 'maxRate is null: leave it out for readings as they come')
  if (maxRate === undefined) checkReduce(reduce)
  checkCount('buffer', buffer)
}

/** `reduce` where there is no `maxRate`. */
function checkReduce(reduce: unknown): void {
  if (reduce !== undefined) throw new TelltaleError('bad-rate', 'reduce is given without maxRate')
}

/** What a subscription asks of the connection that it is on. */
export interface Carrier {
  /** Asks the gateway for what `request` says. */
  ask(): void
  /** Whether it can be asked now; if not, it is when it can. */
  isOpen(): boolean
  /** Asks it to send no more. */
  pause(): void
  update(rate: Rate): Promise<void>
  leave(): void
}

/**
 * Readings in a loop: `for await (const reading of subscription)`; to leave the loop ends it. `batches` and `events` are other
 * ways to take the same, once.
 */
export interface Subscription<R = Reading> extends AsyncIterable<R> {
  readonly filters: readonly string[]
  readonly state: SubscriptionState
  /**
   * All that lies before it the loop is done with: `start: { after: cursor }` goes on from there. A frame's readings have one
   * cursor, so it moves when the loop asks for what comes after them. Undefined before there was any.
   */
  readonly cursor: string | undefined
  /** Readings that stand in others besides (`maxRate`), of all that the loop has had. */
  readonly merged: number
  /** Messages in all gaps that the loop has come to. */
  readonly missed: number
  /** Frame by frame, each with the cursor to go on after it: for an app that keeps its place together with its work. */
  batches(): AsyncIterable<Batch<R>>
  /** Readings, gaps, and the moment when the past is over, in order. */
  events(): AsyncIterable<SubscriptionEvent<R>>
  /** Changes `maxRate` and `reduce`, also for what comes after a break. Rejects if the gateway refuses it: then they stay. */
  update(rate: Rate): Promise<void>
  /** Ends it; a loop over it ends. */
  close(): void
}

const BUFFER_READINGS = 10_000
const PAUSE_RATIO = 1 / 2
const RESUME_RATIO = 1 / 8

type State = SubscriptionState | 'resuming'

const shown = (state: State): SubscriptionState => (state === 'resuming' ? 'catching-up' : state)

/** An event whose cursor moves while nothing comes behind it. */
type Item = { cursor: string } & (
  | ({ readonly type: 'readings' } & Omit<Batch, 'cursor'>)
  | ({ readonly type: 'gap' } & Gap)
  | { readonly type: 'live' }
)

export class LiveSubscription<R = Reading> implements Subscription<R> {
  readonly filters: readonly string[]
  readonly #options: SubscribeOptions
  readonly #buffer: number
  readonly #stop = () => this.close()
  #rate: Rate
  /** One after the other. */
  #updates: Promise<void> = Promise.resolve()
  #carrier: Carrier | undefined
  #state: State = 'connecting'
  #error: TelltaleError | undefined
  /** What has come of the snapshot of one that starts with `latest`; undefined when it is whole, and if there is none. */
  #snapshot: Reading[] | undefined
  #queue: Item[] = []
  /** Readings in it. */
  #waiting = 0
  /** Frames are let go until the gateway goes on after `#kept`. */
  #letGo = false
  /** The cursor of the last frame that was kept. */
  #kept: string | undefined
  /** What the loop has in its hands: done when it asks for the next. */
  #inHand: Item | undefined
  #next = 0
  #cursor: string | undefined
  #merged = 0
  #missed = 0
  #takers: (() => void)[] = []

  /** By `Client.subscribe`. */
  constructor(filters: readonly string[], options: SubscribeOptions) {
    this.filters = filters
    this.#options = options
    this.#rate = { maxRate: options.maxRate, reduce: options.reduce }
    this.#buffer = options.buffer ?? BUFFER_READINGS
    this.#snapshot = options.start === 'latest' ? [] : undefined
    const { start } = options
    if (typeof start === 'object' && 'after' in start) this.#cursor = start.after
  }

  get state(): SubscriptionState {
    return shown(this.#state)
  }

  /** What comes has to be asked for yet, or that has no answer. */
  get isAsking(): boolean {
    return this.#state === 'connecting' || this.#state === 'resuming'
  }

  get cursor(): string | undefined {
    return this.#cursor
  }

  get merged(): number {
    return this.#merged
  }

  get missed(): number {
    return this.#missed
  }

  [Symbol.asyncIterator](): AsyncIterator<R, undefined> {
    return this.#iterator(async () => {
      while (this.#inHand?.type !== 'readings' || this.#next >= this.#inHand.readings.length) {
        if ((await this.#take()) === undefined) return undefined
      }
      return this.#inHand.readings[this.#next++] as R
    })
  }

  batches(): AsyncIterable<Batch<R>> {
    const batch = async (): Promise<Batch<R> | undefined> => {
      for (;;) {
        const item = await this.#take()
        if (item === undefined) return undefined
        if (item.type !== 'readings') continue
        const { type: _, ...batch } = item
        return batch as Batch<R>
      }
    }
    return { [Symbol.asyncIterator]: () => this.#iterator(batch) }
  }

  events(): AsyncIterable<SubscriptionEvent<R>> {
    const event = async () => {
      const item = await this.#take()
      return item as SubscriptionEvent<R> | undefined
    }
    return { [Symbol.asyncIterator]: () => this.#iterator(event) }
  }

  update(rate: Rate): Promise<void> {
    const updated = this.#updates.then(() => this.#update(rate))
    this.#updates = updated.catch(() => undefined)
    return updated
  }

  async #update(rate: Rate): Promise<void> {
    checkNames('update', RATE, rate)
    const before = this.#rate
    if ((rate.maxRate ?? before.maxRate ?? undefined) === undefined) checkReduce(rate.reduce)
    this.#rate = { ...before, ...rate }
    try {
      await this.#carrier?.update(this.#rate)
    } catch (error) {
      this.#rate = before
      throw error
    }
  }

  close(): void {
    this.#end(undefined)
  }

  /** What is known of it by name, for `Carrier`. */
  get key(): string {
    const { fields, maxDelay } = this.#options
    return JSON.stringify([[...this.filters].sort(), fields && [...fields].sort(), maxDelay])
  }

  /** Whether the gateway must decode and choose for it: then its frames are JSON. */
  get isSelective(): boolean {
    const { fields, maxDelay } = this.#options
    return fields !== undefined || maxDelay !== undefined || (this.#rate.maxRate ?? undefined) !== undefined
  }

  /** By the client, once. */
  carriedBy(carrier: Carrier): void {
    this.#carrier = carrier
    this.#tell('connecting')
    const { signal } = this.#options
    signal?.addEventListener('abort', this.#stop, { once: true })
    if (signal?.aborted) this.close()
  }

  /** The command that would be sent now, without its type and id; undefined while the gateway is to wait. */
  get request(): object | undefined {
    if (this.#state === 'paused' || this.#state === 'ended') return undefined
    const { start, fields, maxDelay } = this.#options
    const { maxRate, reduce } = this.#rate
    return {
      filter: this.filters.length === 1 ? this.filters[0] : this.filters,
      start: this.#kept === undefined ? start : { after: this.#kept },
      fields,
      maxDelay,
      ...((maxRate ?? undefined) !== undefined && { maxRate, reduce }),
    }
  }

  /** The gateway has answered: what it sends from here on begins where `request` said. */
  subscribed(): void {
    this.#letGo = false
    this.#enter('catching-up')
  }

  /** A frame of the gateway. */
  take(frame: SubscriptionFrame): void {
    if (this.#state === 'ended' || this.#letGo) return
    switch (frame.type) {
      case 'readings':
        this.#keep(frame)
        break
      case 'gap': {
        const { after, before, reason, missed } = frame
        this.#kept = before
        this.#add({ type: 'gap', after, before, reason, missed, cursor: before })
        break
      }
      case 'live':
        this.#live(frame.cursor)
    }
  }

  /** It goes on by itself. Called for each attempt that fails. */
  disconnected(why: TelltaleError | undefined): void {
    this.#letGo = false
    if (this.#snapshot !== undefined) this.#snapshot = []
    if (this.#state !== 'paused' && this.#state !== 'ended') this.#enter('connecting', why)
  }

  /** It does not: the loop throws, once it has had all that came before. */
  failed(error: TelltaleError): void {
    this.#end(error)
  }

  #live(cursor: string): void {
    const snapshot = this.#snapshot ?? []
    this.#snapshot = undefined
    this.#kept = cursor
    if (snapshot.length > 0) this.#add({ type: 'readings', readings: snapshot, cursor, merged: 0 })
    this.#add({ type: 'live', cursor })
    if (this.#state === 'catching-up') this.#enter('live')
    this.#pauseIfFull()
  }

  #keep({ readings, cursor, merged, byTime }: Batch): void {
    if (this.#snapshot !== undefined) {
      for (const reading of readings) this.#snapshot.push(reading)
      return
    }
    const isFull = this.#waiting > 0 && this.#waiting + readings.length > this.#buffer
    if (isFull && this.#state === 'paused') {
      this.#letGo = true
      return
    }
    this.#kept = cursor
    if (readings.length > 0) {
      this.#add({ type: 'readings', readings, cursor, merged, ...(byTime && { byTime }) })
      this.#pauseIfFull()
      return
    }
    // Nothing has come but time.
    const last = this.#queue.at(-1) ?? this.#inHand
    if (last === undefined) this.#cursor = cursor
    else last.cursor = cursor
  }

  #add(item: Item): void {
    this.#queue.push(item)
    if (item.type === 'readings') this.#waiting += item.readings.length
    this.#wake()
  }

  #pauseIfFull(): void {
    if (this.#waiting < this.#buffer * PAUSE_RATIO) return
    if (this.#state !== 'live' && this.#state !== 'catching-up') return
    this.#enter('paused')
    this.#carrier?.pause()
  }

  /** The next item, when the loop is done with the one in its hands; undefined at the end. */
  async #take(): Promise<Item | undefined> {
    this.#done()
    while (this.#queue.length === 0) {
      if (this.#error !== undefined) throw this.#error
      if (this.#state === 'ended') return undefined
      await new Promise<void>((resolve) => this.#takers.push(resolve))
    }
    const item = this.#queue.shift() as Item
    this.#inHand = item
    this.#next = 0
    if (item.type === 'readings') this.#taken(item.readings.length, item.merged)
    if (item.type === 'gap') this.#missed += item.missed
    if (item.type === 'gap') this.#options.onGap?.(item)
    return item
  }

  #taken(readings: number, merged: number): void {
    this.#merged += merged
    this.#waiting -= readings
    if (this.#state !== 'paused' || this.#waiting > this.#buffer * RESUME_RATIO) return
    this.#enter(this.#carrier?.isOpen() ? 'resuming' : 'connecting')
    this.#carrier?.ask()
  }

  #done(): void {
    const item = this.#inHand
    this.#inHand = undefined
    this.#cursor = item?.cursor ?? this.#cursor
  }

  #iterator<T>(next: () => Promise<T | undefined>): AsyncIterator<T, undefined> {
    return {
      next: async () => {
        const value = await next()
        return value === undefined ? { done: true, value: undefined } : { done: false, value: value as T }
      },
      return: async () => {
        this.close()
        return { done: true, value: undefined }
      },
    }
  }

  #end(error: TelltaleError | undefined): void {
    if (this.#state === 'ended') return
    this.#error = error
    if (error === undefined) {
      this.#queue = []
      this.#waiting = 0
    }
    this.#options.signal?.removeEventListener('abort', this.#stop)
    this.#carrier?.leave()
    this.#enter('ended', error)
    this.#wake()
  }

  #enter(state: State, why?: TelltaleError): void {
    const before = this.state
    this.#state = state
    if (this.state !== before || why !== undefined) this.#tell(this.state, why)
  }

  #tell(state: SubscriptionState, why?: TelltaleError): void {
    const { onState } = this.#options
    // Later, so that what the app's function throws is the app's.
    if (onState !== undefined) queueMicrotask(() => onState(state, why))
  }

  #wake(): void {
    for (const taker of this.#takers.splice(0)) taker()
  }
}
