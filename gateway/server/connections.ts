/**
 * Owns how many connections the gateway has, so that they never take the files which devices' connections need, nor one address
 * all that others need. Each server tells it of every connection; it says which one is cut.
 *
 *   silent --its first request--> speaking --> closed
 *        \------------------------------------> closed
 *
 * Bounds, and what happens when one is reached:
 *   - silent connections of one address, `SILENT_PER_ADDRESS_MAX` or a quarter of all: the one that is silent longest is cut.
 *   - half of `max`: every answer is the last on its connection, so that nobody keeps one for later.
 *   - `max`: the longest silent one is cut for a new one. If there is none, the new one is taken, but only `/healthz` and
 *     `/readyz` are answered (`isFull`).
 *   - `HEALTH_CONNECTIONS` more: the new one is cut.
 *
 * A server that is not told on which connection a request came (uWebSockets.js) says from which address: then one silent
 * connection of it is counted less, and none that is older than the request is cut any more, for it might be that one. Who
 * keeps asking on one connection may have more silent ones than the bound; the bound of all holds.
 */

import assert from 'node:assert/strict'
import { openFilesMax } from '../../platform/files.ts'
import { FILES_FOR_APPS_RATIO, FILES_FOR_CLIENTS_RATIO } from '../../platform/limits.ts'

/** Connections at once, of whatever kind, where enough files may be open. */
export const APP_CONNECTIONS_MAX = 24_000
/** Silent connections of one address; as many come at once when a crowd behind one address comes back. */
const SILENT_PER_ADDRESS_MAX = 2_000
/** Connections beyond all others, to be asked for the gateway's health. */
const HEALTH_CONNECTIONS = 16

/** How many connections there may be: a share of the files that may be open, larger where no broker needs its own. */
export function appConnectionsMax(isBesideBroker: boolean): number {
  const ratio = isBesideBroker ? FILES_FOR_APPS_RATIO : FILES_FOR_CLIENTS_RATIO + FILES_FOR_APPS_RATIO
  return Math.max(1, Math.min(APP_CONNECTIONS_MAX, Math.floor(openFilesMax() * ratio) - HEALTH_CONNECTIONS))
}

/** `address`: too many silent ones of one address. `full`: too many in all. */
export type CutReason = 'address' | 'full'

/** One connection, while it is silent. */
export interface Silent {
  readonly address: string
  readonly cut: () => void
  /** It has its number in the order in which they came. */
  readonly number: number
  isOver: boolean
}

interface Address {
  /** Oldest first. */
  readonly silent: Set<Silent>
  /** Those with a lower number may have spoken. */
  spokeBefore: number
}

export class Connections {
  readonly #max: number
  readonly #silentPerAddress: number
  readonly #onCut: (reason: CutReason) => void
  readonly #addresses = new Map<string, Address>()
  /** Of all addresses, oldest first. */
  readonly #silent = new Set<Silent>()
  #open = 0
  #numbered = 0

  constructor(options: { readonly max: number }, onCut: (reason: CutReason) => void) {
    this.#max = options.max
    this.#silentPerAddress = Math.min(SILENT_PER_ADDRESS_MAX, Math.ceil(options.max / 4))
    this.#onCut = onCut
  }

  get open(): number {
    return this.#open
  }

  /** An answer is to be the last on its connection. */
  get isCrowded(): boolean {
    return this.#open > this.#max / 2
  }

  /** Only `/healthz` and `/readyz` are to be answered. */
  get isFull(): boolean {
    return this.#open > this.#max
  }

  /** One was made; `closed` will be told once. Undefined if the server is to cut it. `cut` may be called while it is silent. */
  opened(address: string, cut: () => void): Silent | undefined {
    this.#open++
    const own = this.#addresses.get(address)?.silent
    if (own !== undefined && own.size >= this.#silentPerAddress) {
      if (!this.#cutOldest(own, 'address')) return this.#refuse('address')
    } else if (this.isFull && !this.#cutOldest(this.#silent, 'full') && this.#open > this.#max + HEALTH_CONNECTIONS) {
      return this.#refuse('full')
    }
    const silent = { address, cut, number: this.#numbered++, isOver: false }
    this.#silent.add(silent)
    const known = this.#addresses.get(address)
    if (known) known.silent.add(silent)
    else this.#addresses.set(address, { silent: new Set([silent]), spokeBefore: 0 })
    return silent
  }

  /** It has sent a request, or is closed. */
  spoke(silent: Silent): void {
    if (silent.isOver) return
    silent.isOver = true
    this.#remove(silent)
  }

  /** One of the address has sent a request; it may have been silent until then. */
  spokeFrom(address: string): void {
    const known = this.#addresses.get(address)
    const [oldest] = known?.silent ?? []
    if (known === undefined || oldest === undefined) return
    known.spokeBefore = this.#numbered
    this.#remove(oldest)
  }

  /** One has ended that was silent to its end, of which `spokeFrom` may have been told for another. */
  endedSilent(silent: Silent): void {
    if (silent.isOver) return
    silent.isOver = true
    const known = this.#addresses.get(silent.address)
    const [oldest] = known?.silent ?? []
    if (known?.silent.has(silent)) this.#remove(silent)
    else if (oldest !== undefined) this.#remove(oldest)
  }

  closed(): void {
    this.#open--
    assert(this.#open >= 0, 'a connection is closed once')
  }

  /** Whether there was one. */
  #cutOldest(among: ReadonlySet<Silent>, reason: CutReason): boolean {
    for (const silent of among) {
      if (silent.number < (this.#addresses.get(silent.address)?.spokeBefore ?? 0)) continue
      silent.isOver = true
      this.#remove(silent)
      this.#onCut(reason)
      silent.cut()
      return true
    }
    return false
  }

  #refuse(reason: CutReason): undefined {
    this.#onCut(reason)
  }

  #remove(silent: Silent): void {
    this.#silent.delete(silent)
    const known = this.#addresses.get(silent.address)
    known?.silent.delete(silent)
    if (known?.silent.size === 0) this.#addresses.delete(silent.address)
  }
}
