/**
 * Owns where the chosen device was in the last hour: from history, and from then on live.
 *
 * Bound: `POINTS_MAX` points; the oldest go.
 */

import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Reading } from '../../client/client.ts'
import { AnswerError, ask } from '../gateway.ts'
import { now } from '../time.ts'
import type { PositionStream } from './position-streams.ts'
import { moves, positionOf } from './positions.ts'

const SPAN_MS = 3_600_000
const EVERY_S = 10
const POINTS_MAX = 720

export interface TrailPoint {
  readonly ts: number
  readonly latitude: number
  readonly longitude: number
}

/** Oldest first. */
export const trail = signal<readonly TrailPoint[]>([])

/** While a device is chosen. */
export function useTrail(device: string | undefined, source: PositionStream): void {
  const { stream, latitude, longitude } = source
  useEffect(() => {
    trail.value = []
    if (device === undefined) return
    const left = new AbortController()
    const goesOn = moves.subscribe(() => {
      const position = positionOf(device)
      if (position !== undefined && position.ts > (trail.peek().at(-1)?.ts ?? 0)) extend([position])
    })
    const from = now.peek() - SPAN_MS
    const query = `filter=devices/${encodeURIComponent(device)}/telemetry/${stream}&from=${from}&every=${EVERY_S}s&fn=last`
    ask<{ readonly readings: readonly Reading[] }>(`v1/readings?${query}`, { signal: left.signal }).then(
      ({ readings }) => {
        const live = trail.peek()
        trail.value = readings.flatMap(({ ts, values }) => {
          const [lat, lng] = [values[latitude], values[longitude]]
          if (typeof lat !== 'number' || typeof lng !== 'number') return []
          return [{ ts, latitude: lat, longitude: lng }]
        })
        extend(live)
      },
      // Without history there is no trail but the live one; `trouble` says when the gateway is away.
      (error: unknown) => {
        if (!left.signal.aborted && !(error instanceof AnswerError)) throw error
      },
    )
    return () => {
      left.abort()
      goesOn()
    }
  }, [device, stream, latitude, longitude])
}

function extend(points: readonly TrailPoint[]): void {
  const last = trail.peek().at(-1)?.ts ?? 0
  const after = Math.max(last, ...points.map(({ ts }) => ts)) - SPAN_MS
  const all = [...trail.peek(), ...points.filter(({ ts }) => ts > last)]
  trail.value = all.filter(({ ts }) => ts > after).slice(-POINTS_MAX)
}
