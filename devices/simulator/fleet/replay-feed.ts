/**
 * Owns the reading of a recording while it is replayed: each message goes to its device a little before it is due. Always true: the recording is
 * read as fast as it is sent. Bound: `AHEAD_MS` before its time, and `QUEUED_MAX` messages in all; then what comes behind is read late, and
 * counts as sent late.
 */

import { setTimeout as pause } from 'node:timers/promises'
import type { Replay } from '../replay/replay-source.ts'
import type { ReplaySender } from './replay-sender.ts'

const AHEAD_MS = 2_000
const QUEUED_MAX = 20_000
const LOOK_MS = 50

export interface ReplayFeedDeps {
  readonly replay: Replay
  readonly senders: ReadonlyMap<string, ReplaySender>
  /** Milliseconds since the fleet began. */
  readonly now: () => number
  /** It has something to send, or nothing any more. */
  readonly look: (device: string) => void
}

/** Resolves when all is read, or the signal is aborted. Rejects with a `RecordingError`. */
export async function feedReplay(
  { replay, senders, now, look }: ReplayFeedDeps,
  startAt: number,
  signal: AbortSignal,
): Promise<void> {
  const queued = () => [...senders.values()].reduce((sum, sender) => sum + sender.queued, 0)
  let sinceLook = 0
  for await (const message of replay.messages(startAt, (device) => senders.has(device))) {
    while (!signal.aborted && (message.dueMs > now() + AHEAD_MS || (sinceLook >= QUEUED_MAX && queued() >= QUEUED_MAX)))
      await pause(LOOK_MS)
    if (signal.aborted) break
    if (++sinceLook > QUEUED_MAX) sinceLook = queued()
    const sender = senders.get(message.device)
    const isFirst = sender?.queued === 0
    sender?.add(message)
    if (isFirst) look(message.device)
  }
  for (const [device, sender] of senders) {
    sender.end()
    look(device)
  }
}
