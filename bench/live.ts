/**
 * Owns the measure of live latency: from the write of a device's PUBLISH to an app having the reading, at a fixed rate
 * over all devices. Both ends are in one process (`live-load.ts`), so one clock serves.
 */

import { fileURLToPath } from 'node:url'
import { deviceNames } from './accept.ts'
import { Child } from './child.ts'
import { type Figure, figure } from './figure.ts'
import type { LiveOptions, LiveResult } from './live-load.ts'
import type { Plan } from './plan.ts'
import { Telltale } from './telltale.ts'

const LOAD = fileURLToPath(new URL('live-load.ts', import.meta.url))
const WARM_SECONDS = 3
const US_PER_MS = 1000

/** With the server that there is, or with the one named. */
export async function measureLive(plan: Plan, server = 'auto'): Promise<Figure[]> {
  const telltale = await Telltale.start('broker,ingest,gateway', { TELLTALE_GATEWAY_SERVER: server })
  const results: LiveResult[] = []
  const cpuUs: number[] = []
  try {
    const devices = deviceNames(plan.clients)
    const options: LiveOptions = {
      mqttPort: telltale.mqttPort,
      gatewayPort: telltale.gatewayPort,
      devices,
      tokens: await telltale.deviceTokens(devices),
      appToken: await telltale.appToken(),
      rate: plan.liveRate,
      seconds: plan.liveSeconds,
      warmSeconds: WARM_SECONDS,
      deadlineMs: plan.deadlineMs,
    }
    for (let round = 0; round < Math.min(plan.rounds, 3); round++) {
      const cpuBefore = telltale.cpuMs()
      const load = new Child('live load', ['--import', 'tsx', LOAD, JSON.stringify(options)])
      try {
        results.push(JSON.parse(await load.line((line) => line.startsWith('{'), plan.deadlineMs)) as LiveResult)
        cpuUs.push(((telltale.cpuMs() - cpuBefore) * US_PER_MS) / (plan.liveRate * (WARM_SECONDS + plan.liveSeconds)))
      } finally {
        await load.stop()
      }
    }
  } finally {
    await telltale.stop()
  }
  const each = (read: (result: LiveResult) => number) => results.map(read)
  const note = `${plan.liveRate} msg/s for ${plan.liveSeconds} s, ${plan.clients} devices, embedded store`
  return [
    figure(
      'live latency p50',
      'ms',
      each((result) => result.p50Ms),
      { target: { atMost: 5 }, note },
    ),
    figure(
      'live latency p99',
      'ms',
      each((result) => result.p99Ms),
      { target: { atMost: 20 } },
    ),
    figure(
      'live latency max',
      'ms',
      each((result) => result.maxMs),
    ),
    figure(
      'live rate reached',
      'msg/s',
      each((result) => result.perSecond),
    ),
    figure('live, whole path', 'us CPU/msg', cpuUs, {
      note: 'of which most is the cost of a small commit and a small frame',
    }),
  ]
}
