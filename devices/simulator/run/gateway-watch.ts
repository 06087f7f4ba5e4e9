/**
 * Owns an app that follows the fleet's readings at a gateway of ours. Always true: it is live before the first message is sent, and goes on
 * where it was after any break. Bound: one frame is held at a time.
 */

import { performance } from 'node:perf_hooks'
import { connect, type SubscriptionState } from '../../../client/client.ts'
import { messageOf } from '../../../platform/errors.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { LiveLog, LiveWatch } from './live-log.ts'

/** A subscription has so many filters at most; more streams than that are all streams. */
const FILTERS_MAX = 20
/** A gateway that cannot be reached by then is not there. */
const NOBODY_MS = 2_500
/** One that can be has said by then that all that is sent will come. */
const LIVE_WITHIN_MS = 15_000
const LOOK_MS = 100

export interface GatewayWatchOptions {
  readonly url: string
  readonly token: () => Promise<string>
  /** Undefined: all that there are. */
  readonly streams: readonly string[] | undefined
}

export class GatewayWatch implements LiveWatch {
  readonly #options: GatewayWatchOptions
  readonly #log: LiveLog
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #state: SubscriptionState = 'connecting'

  constructor(options: GatewayWatchOptions, log: LiveLog) {
    this.#options = options
    this.#log = log
  }

  /** Of a gateway that is not there: a `SimulatorError` `no-gateway`. */
  async start(): Promise<SimulatorError | undefined> {
    const { url } = this.#options
    let lastError: Error | undefined
    const began = performance.now()
    const isNobody = () => performance.now() - began >= (lastError === undefined ? LIVE_WITHIN_MS : NOBODY_MS)
    let looking: NodeJS.Timeout | undefined
    const why = await new Promise<string | undefined>((resolve) => {
      looking = setInterval(() => isNobody() && resolve(lastError?.message ?? 'no answer'), LOOK_MS)
      const failed = (error: Error) => {
        lastError = error
      }
      this.#running = this.#follow(() => resolve(undefined), failed).then(
        () => resolve('it was stopped'),
        (error) => resolve(messageOf(error)),
      )
    })
    clearInterval(looking)
    if (why === undefined) return undefined
    this.#stopping.abort()
    return new SimulatorError('no-gateway', `no live readings from ${url} (${why})`)
  }

  get isThere(): boolean {
    return this.#state === 'live'
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #follow(isLive: () => void, failed: (error: Error) => void): Promise<void> {
    const { url, token, streams } = this.#options
    const app = connect(url, { token })
    const filters =
      streams === undefined || streams.length > FILTERS_MAX
        ? ['devices/+/telemetry/#']
        : streams.map((stream) => `devices/+/telemetry/${stream}` as const)
    try {
      const onState = (state: SubscriptionState, error?: Error) => {
        this.#state = state
        if (error !== undefined) failed(error)
      }
      const { signal } = this.#stopping
      for await (const event of app.subscribe(filters, { signal, onState }).events()) {
        const at = performance.timeOrigin + performance.now()
        if (event.type === 'live') isLive()
        else if (event.type === 'gap') this.#log.gap(at, event.missed, event.reason)
        else for (const reading of event.readings) this.#log.take(at, reading)
      }
    } finally {
      app.close()
    }
  }
}
