/**
 * Owns `GET /v1/alerts`: which alerts are firing, which were lately, and what could not be told yet.
 *
 * Always true: a token sees the alerts of devices that its filters select some telemetry of, about a field where they select its stream, and
 * those of the platform. Of targets it sees where they are, and no more. Bound: `limit` alerts an answer, those that are firing first.
 */

import type { Access } from '../access.ts'
import { readLimit } from '../parameters.ts'
import type { Query } from '../request.ts'
import type { Alerts } from './alerts.ts'
import { type Alert, lineOf, type Post } from './book.ts'
import { originOf } from './target.ts'

const ALERTS_LIMIT_DEFAULT = 1_000
const ALERTS_LIMIT_MAX = 10_000

export interface AlertListing extends Omit<Alert, 'to'> {
  readonly state: 'firing' | 'resolved'
}

export interface TargetListing {
  /** Scheme, host and port. */
  readonly to: string
  readonly kind: Post['target']['kind']
  /** Messages that it was not told yet. */
  readonly waiting: number
  /** Since when the first of them waits, milliseconds. */
  readonly since: number
  /** Why the last try failed. */
  readonly problem?: string
}

export interface AlertsPage {
  readonly alerts: readonly AlertListing[]
  /** Those that take nothing just now. */
  readonly targets: readonly TargetListing[]
  /** Alerts that did not begin, for too many were firing; messages that were given up. */
  readonly lost: { readonly untold: number; readonly dropped: number }
}

export async function listAlerts(alerts: Alerts, query: Query, access: Access): Promise<AlertsPage> {
  query.allow(['limit'])
  const limit = readLimit(query, ALERTS_LIMIT_DEFAULT, ALERTS_LIMIT_MAX)
  const { firing, over, posts, untold, dropped } = await alerts.state()
  const newest = [...firing].sort((a, b) => b.since - a.since)
  const seen = [...newest, ...[...over].reverse()].filter((alert) => maySee(access, alert)).slice(0, limit)
  return { alerts: seen.map(listed), targets: targetsOf(alerts, posts), lost: { untold, dropped } }
}

function maySee({ selections }: Access, { device, stream }: Alert): boolean {
  if (device === undefined) return true
  return selections.some(
    (own) =>
      (own.device === undefined || own.device === device) &&
      (own.stream === undefined || stream === undefined || own.stream === stream),
  )
}

function listed({ to: _, ...alert }: Alert): AlertListing {
  return { ...alert, state: alert.until === undefined ? 'firing' : 'resolved' }
}

function targetsOf(alerts: Alerts, posts: readonly Post[]): TargetListing[] {
  const lines = new Map<string, Post[]>()
  for (const post of posts) {
    const line = lines.get(lineOf(post.target)) ?? []
    line.push(post)
    lines.set(lineOf(post.target), line)
  }
  return [...lines.values()].flatMap((line) => {
    const [first] = line
    if (first === undefined) return []
    const problem = alerts.problemOf(first.target)
    const { kind } = first.target
    return { to: originOf(first.target), kind, waiting: line.length, since: first.at, ...(problem && { problem }) }
  })
}
