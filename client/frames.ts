/** Owns the frames of `/v1/live` as they come from the gateway (docs/contract.md, "Live"). */

import { TelltaleError } from './error.ts'
import type { Batch, Gap } from './readings.ts'

/** Of one subscription: these are what it gets. */
export type SubscriptionFrame =
  | ({ readonly type: 'readings'; readonly subscription: string } & Batch)
  | ({ readonly type: 'gap'; readonly subscription: string } & Gap)
  | { readonly type: 'live'; readonly subscription: string; readonly cursor: string }

export interface Limits {
  readonly subscriptions: number
  readonly commandsPerSecond: number
}

export type Frame =
  | SubscriptionFrame
  | { readonly type: 'welcome'; readonly protocol: string; readonly limits: Limits }
  | { readonly type: 'subscribed'; readonly id: string; readonly subscription: string; readonly replaces?: string }
  | { readonly type: 'unsubscribed'; readonly id: string; readonly subscription: string }
  | { readonly type: 'closing'; readonly code: number; readonly message: string; readonly retryMs: number }
  | {
      readonly type: 'error'
      readonly id?: string
      readonly code: string
      readonly message: string
      readonly retry: boolean
    }

export const SUBPROTOCOL = 'telltale.v1'

/** How frames come over the wire: as JSON, or in another way that is a module of its own. */
export interface Encoding {
  readonly subprotocol: string
  /** For one app. `get` reads a path of the gateway. */
  decoder(get: <T>(path: string) => Promise<T>): FrameDecoder
}

export interface FrameDecoder {
  /** A new connection: what was learned of the gateway may have changed. */
  opened(): void
  /** Throws, or rejects, if it cannot be read now. */
  decode(data: unknown): Frame | Promise<Frame>
}

export function decodeText(data: unknown): Frame {
  if (typeof data !== 'string') throw new TelltaleError('bad-answer', 'the gateway has sent a binary frame')
  return JSON.parse(data) as Frame
}

export const json: Encoding = {
  subprotocol: SUBPROTOCOL,
  decoder: () => ({ opened: () => undefined, decode: decodeText }),
}
