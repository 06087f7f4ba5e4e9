/**
 * Owns the wills that wait for their client to come back (Will Delay Interval, sections 3.1.2.5 and 3.1.3.2.2).
 *
 *   connection ended --delay 0-------------------------> published
 *                    --delay--> waiting --the time is over---------------------> published
 *                                       --CONNECT, which goes on with the session--> forgotten
 *                                       --CONNECT, which begins another------------> published
 *                                       --the broker stops-------------------------> published
 *
 * Bound: `DELAYED_WILLS_MAX`; one more is published at once.
 */

/** Wills that wait; one more is published at once. */
export const DELAYED_WILLS_MAX = 20_000
/** Of a timer. */
const DELAY_MS_MAX = 2 ** 31 - 1

interface Will {
  /** `isTimeOver`: the client did not come back in time. */
  readonly publish: (isTimeOver: boolean) => void
  readonly forget: () => void
}

export class DelayedWills {
  /** By client id. */
  readonly #waiting = new Map<string, Will & { readonly timer: NodeJS.Timeout }>()
  #hasStopped = false

  wait(clientId: string, ms: number, will: Will): void {
    this.#end(clientId, 'publish')
    if (ms === 0 || this.#hasStopped || this.#waiting.size >= DELAYED_WILLS_MAX) will.publish(false)
    else {
      const timer = setTimeout(() => this.#end(clientId, 'publish', true), Math.min(ms, DELAY_MS_MAX)).unref()
      this.#waiting.set(clientId, { ...will, timer })
    }
  }

  /** A client has its CONNACK. */
  connected(clientId: string, isNewSession: boolean): void {
    this.#end(clientId, isNewSession ? 'publish' : 'forget')
  }

  stop(): void {
    this.#hasStopped = true
    for (const clientId of this.#waiting.keys()) this.#end(clientId, 'publish')
  }

  #end(clientId: string, how: 'publish' | 'forget', isTimeOver = false): void {
    const will = this.#waiting.get(clientId)
    if (will === undefined) return
    this.#waiting.delete(clientId)
    clearTimeout(will.timer)
    if (how === 'publish') will.publish(isTimeOver)
    else will.forget()
  }
}
