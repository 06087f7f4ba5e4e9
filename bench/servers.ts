/**
 * Owns the measure of the gateway's two servers, one after the other: live deliveries, live latency, and the memory of an app
 * that is connected, subscribed, and gets nothing.
 */

import { fileURLToPath } from 'node:url'
import { Child } from './child.ts'
import { measureFanout } from './fanout.ts'
import { type Figure, figure } from './figure.ts'
import type { IdleAppsOptions } from './idle-apps-load.ts'
import { measureLive } from './live.ts'
import type { Plan } from './plan.ts'
import { cpuMs, memory } from './proc.ts'
import { Telltale } from './telltale.ts'

const LOAD = fileURLToPath(new URL('idle-apps-load.ts', import.meta.url))
const US_PER_MS = 1000

export async function measureServers(plan: Plan): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const server of ['uws', 'node']) {
    const own = [
      ...(await measureFanout(plan, server)),
      ...(await measureLive(plan, server)),
      ...(await idleApps(plan, server)),
    ]
    figures.push(...own.map((each) => ({ ...each, name: `${server}: ${each.name}` })))
  }
  return figures
}

async function idleApps(plan: Plan, server: string): Promise<Figure[]> {
  const telltale = await Telltale.start('broker,ingest,gateway', { TELLTALE_GATEWAY_SERVER: server })
  const load = new Child('idle apps', ['--import', 'tsx', LOAD])
  const connect = (apps: number) => {
    load.send(JSON.stringify({ gatewayPort: telltale.gatewayPort, appToken, apps } satisfies IdleAppsOptions))
    return load.line((line) => line === 'connected', plan.deadlineMs)
  }
  const appToken = await telltale.appToken()
  try {
    return await telltale.during(async () => {
      await connect(WARM_APPS)
      const before = { memory: memory(telltale.pid).own, cpuMs: cpuMs(telltale.pid) }
      await connect(plan.idleApps)
      const kibibytes = (memory(telltale.pid).own - before.memory) / plan.idleApps / 1024
      const cpu = cpuMs(telltale.pid) - before.cpuMs
      return [
        figure('memory of an idle app', 'KiB', [kibibytes], { note: `${plan.idleApps} apps of one subscription` }),
        figure('an app connected', 'us CPU', [(cpu * US_PER_MS) / plan.idleApps]),
      ]
    })
  } finally {
    await load.stop()
    await telltale.stop()
  }
}

/** So that what is made once, whoever comes, is there. */
const WARM_APPS = 500
