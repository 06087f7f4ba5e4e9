/**
 * Owns the measures of the gateway's two servers, one after the other: live deliveries and live latency; and the memory of an app
 * that is connected, subscribed, and gets nothing.
 */

import { fileURLToPath } from 'node:url'
import { Child } from './child.ts'
import { measureFanout } from './fanout.ts'
import { type Figure, figure } from './figure.ts'
import { startGateway } from './follower.ts'
import type { IdleAppsOptions } from './idle-apps-load.ts'
import { measureLive } from './live.ts'
import type { Plan } from './plan.ts'
import { cpuMs, memory } from './proc.ts'

const LOAD = fileURLToPath(new URL('idle-apps-load.ts', import.meta.url))
const US_PER_MS = 1000

export const measureServers = (plan: Plan) => onEach([measureFanout, measureLive], plan)

export const measureIdle = (plan: Plan) => onEach([idleApps], plan)

async function onEach(
  measures: readonly ((plan: Plan, server: string) => Promise<Figure[]>)[],
  plan: Plan,
): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const server of ['uws', 'node']) {
    for (const measure of measures) {
      const own = await measure(plan, server)
      figures.push(...own.map((each) => ({ ...each, name: `${server}: ${each.name}` })))
    }
  }
  return figures
}

async function idleApps(plan: Plan, server: string): Promise<Figure[]> {
  const gateway = await startGateway({ TELLTALE_GATEWAY_SERVER: server })
  const load = new Child('idle apps', ['--import', 'tsx', LOAD])
  const connect = (apps: number) => {
    load.send(JSON.stringify({ gatewayPort: gateway.port, appTokens, apps } satisfies IdleAppsOptions))
    return load.line((line) => line === 'connected', plan.deadlineMs)
  }
  const { pid } = gateway
  const appTokens: string[] = []
  while (appTokens.length < TOKENS) appTokens.push(await gateway.appToken())
  try {
    await connect(WARM_APPS)
    const before = { memory: memory(pid).own, cpuMs: cpuMs(pid) }
    await connect(plan.idleApps)
    const kibibytes = (memory(pid).own - before.memory) / plan.idleApps / 1024
    const cpu = cpuMs(pid) - before.cpuMs
    return [
      figure('memory of an idle app', 'KiB', [kibibytes], { note: `${plan.idleApps} apps of one subscription` }),
      figure('an app connected', 'us CPU', [(cpu * US_PER_MS) / plan.idleApps]),
    ]
  } finally {
    await load.stop()
    await gateway.stop()
  }
}

/** Of the apps, a share each: no token may have all connections. */
const TOKENS = 2
/** So that what is made once, whoever comes, is there. */
const WARM_APPS = 500
