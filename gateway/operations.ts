/** Owns what operators and load balancers ask: alive, taking traffic, metrics. Needs no token on loopback. */

import type { Metrics } from '../platform/metrics.ts'
import { Refusal } from './refusal.ts'
import { JSON_TYPE, type Reply } from './reply.ts'

export const OPERATIONS = ['/healthz', '/readyz', '/metrics'] as const

/** What is answered also when there is room for nothing else. */
export const isHealth = (path: string): boolean => path === '/healthz' || path === '/readyz'

/** The process answers: that is all this says. */
export function answerHealth(reply: Reply): void {
  reply.json({ status: 'alive' })
}

/** `reason`: why no traffic should come now. */
export function answerReadiness(reply: Reply, reason: string | undefined): void {
  if (reason === undefined) {
    reply.json({ status: 'ready' })
    return
  }
  const { status, headers } = new Refusal('not-ready', reason)
  const body = { status: 'not-ready', reason, error: { code: 'not-ready', message: reason } }
  reply.send(status, { ...JSON_TYPE, ...headers }, JSON.stringify(body))
}

export async function answerMetrics(reply: Reply, metrics: Metrics): Promise<void> {
  const text = await metrics.metrics()
  reply.send('200 OK', { 'Content-Type': metrics.contentType }, text)
}
