/**
 * Owns what subscriptions ask of the store: what the log does not hold any more. A page at a time, each when it is its token's
 * turn among all that ask the store (`HistoryPlaces`), and for no longer than `LIVE_STORE_READ_MS_MAX`.
 */

import type { History, HistoryPage, HistoryQuery, ReceivedPage, ReceivedQuery } from '../../schemas/history.ts'
import type { Reading } from '../../schemas/reading.ts'
import type { Access } from '../access.ts'
import type { HistoryPlaces } from '../history-places.ts'

/** Readings of one page. */
export const LIVE_STORE_PAGE_READINGS = 2_000
/** How long a page may take, its turn included. */
const LIVE_STORE_READ_MS_MAX = 30_000

export class StoreReads {
  readonly #history: History
  readonly #places: HistoryPlaces

  constructor(dependencies: { readonly history: History; readonly places: HistoryPlaces }) {
    this.#history = dependencies.history
    this.#places = dependencies.places
  }

  /** Whether the store knows of each reading where its message stood in the log. */
  get keepsPlaces(): boolean {
    return this.#history.received !== undefined
  }

  /** Of a store that keeps places only. Rejects as `History.received` does. */
  received(query: Omit<ReceivedQuery, 'limit'>, access: Access, signal: AbortSignal): Promise<ReceivedPage> {
    return this.#inTurn(access, signal, async (whole) => {
      const page = await this.#history.received?.({ ...query, limit: LIVE_STORE_PAGE_READINGS }, whole)
      if (page === undefined) throw new Error('this store keeps no places')
      return page
    })
  }

  /** Rejects as `History.readings` does. */
  page(
    query: Omit<HistoryQuery, 'limit'>,
    access: Access,
    signal: AbortSignal,
  ): Promise<HistoryPage & { readonly readings: readonly Reading[] }> {
    return this.#inTurn(access, signal, async (whole) => {
      const page = await this.#history.readings({ ...query, limit: LIVE_STORE_PAGE_READINGS }, whole)
      const readings: Reading[] = []
      for await (const piece of page.pieces) readings.push(...piece)
      return { ...page, readings }
    })
  }

  async #inTurn<T>(access: Access, signal: AbortSignal, ask: (whole: AbortSignal) => Promise<T>): Promise<T> {
    const whole = AbortSignal.any([signal, AbortSignal.timeout(LIVE_STORE_READ_MS_MAX)])
    await this.#places.turn(access, whole)
    try {
      return await ask(whole)
    } finally {
      this.#places.done(access)
    }
  }
}
