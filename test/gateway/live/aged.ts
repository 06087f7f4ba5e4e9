/** Owns a platform whose log has lost what its store has. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { INGEST_READER } from '../../../log/log.ts'
import { until } from '../../until.ts'
import {
  App,
  environment,
  HOUR_MS,
  NOW,
  type ServerKind,
  startPlatform,
  type TestPlatform,
  type TestPlatformOptions,
} from '../platform.ts'

export const duckdb = (directory: string) => ({ kind: 'duckdb', path: `${directory}/store.duckdb` }) as const

export interface Aged {
  readonly platform: TestPlatform
  readonly token: string
  /** After so many readings of 600. */
  readonly cursors: ReadonlyMap<number, string>
  /** The first message, and the first reading of "a", that the log still holds. */
  readonly firstOffset: number
  readonly first: number
}

/** A platform whose log has lost the first of 600 readings in 200 messages, all of them stored. */
export async function aged(t: TestContext, server: ServerKind, store: TestPlatformOptions['store']): Promise<Aged> {
  const platform = await startPlatform(t, server, { ...(store && { store }) })
  const token = await platform.identity.signApp(['#'], 100 * HOUR_MS)
  const app = await App.connect(t, platform, token)
  await app.subscribe({ filter: 'devices/a/#' })
  const cursors = new Map<number, string>()
  for (let message = 0; message < 200; message++) {
    platform.clock.time = NOW + message * 3
    const batch = [0, 1, 2].map((index) => environment(NOW + message * 3 + index))
    await platform.publish('a', 'environment', platform.registry.encode('environment', batch))
    await platform.publish('b', 'environment', environment(NOW + message))
    if (message % 50 === 10) {
      await app.until(() => app.readings().length === (message + 1) * 3)
      cursors.set((message + 1) * 3, String(app.frames.findLast(({ cursor }) => cursor)?.cursor))
    }
  }
  const [shard] = platform.log.shards
  assert(shard)
  await until(async () => (await shard.checkpoint(INGEST_READER)) === (await shard.end()))
  platform.clock.time = NOW + 10 * HOUR_MS
  await until(async () => (await shard.first()) !== 0)
  // Of two messages one is of "a".
  const firstOffset = await shard.first()
  return { platform, token, cursors, firstOffset, first: Math.ceil(firstOffset / 2) * 3 }
}
