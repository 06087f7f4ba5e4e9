/**
 * Owns the measure of live deliveries: a thousand apps that all ask for the same readings. One delivery is one reading
 * at one app. CPU is that of telltale's process, in which accepting, storing and delivering happen together.
 */

import { fileURLToPath } from 'node:url'
import { deviceNames } from './accept.ts'
import { Child } from './child.ts'
import type { FanoutOptions, FanoutResult } from './fanout-load.ts'
import { type Figure, figure } from './figure.ts'
import type { Plan } from './plan.ts'
import { Telltale } from './telltale.ts'

const LOAD = fileURLToPath(new URL('fanout-load.ts', import.meta.url))
const MICROSECONDS_PER_MS = 1000

interface Case {
  readonly devices: number
  readonly messages: number
  readonly ahead: number
}

/** With the server that there is, or with the one named. */
export async function measureFanout(plan: Plan, server = 'auto'): Promise<Figure[]> {
  const telltale = await Telltale.start('broker,ingest,gateway', { TELLTALE_GATEWAY_SERVER: server })
  try {
    const many = await telltale.during(() =>
      fanoutOf(telltale, plan, { devices: 10, messages: plan.fanoutMessages, ahead: 500 }),
    )
    const single = await telltale.during(() =>
      fanoutOf(telltale, plan, { devices: 1, messages: plan.fanoutSingles, ahead: 1 }),
    )
    const bytes = (found: Fanout) => `${Math.round(found.bytesPerReading)} bytes a reading on the wire`
    return [
      figure('live deliveries, under load', '/s', many.perSecond, {
        target: { atLeast: 500_000 },
        note: `${plan.apps} apps, ${bytes(many)}, many readings a frame`,
      }),
      figure('live deliveries, under load', 'us CPU each', many.cpuUs),
      figure('live deliveries, one reading a frame', '/s', single.perSecond, {
        note: `${bytes(single)}; the next is sent when all have it`,
      }),
      figure('live deliveries, one reading a frame', 'us CPU each', single.cpuUs),
    ]
  } finally {
    await telltale.stop()
  }
}

interface Fanout {
  readonly perSecond: number[]
  readonly cpuUs: number[]
  readonly bytesPerReading: number
}

async function fanoutOf(telltale: Telltale, plan: Plan, each: Case): Promise<Fanout> {
  const perSecond: number[] = []
  const cpuUs: number[] = []
  let bytesPerReading = Number.NaN
  const devices = deviceNames(each.devices)
  const options: FanoutOptions = {
    mqttPort: telltale.mqttPort,
    gatewayPort: telltale.gatewayPort,
    devices,
    tokens: await telltale.deviceTokens(devices),
    appToken: await telltale.appToken(),
    apps: plan.apps,
    messages: each.messages,
    ahead: each.ahead,
    deadlineMs: plan.deadlineMs,
  }
  const load = new Child('fan-out load', ['--import', 'tsx', LOAD, JSON.stringify(options)])
  try {
    for (let round = 0; round <= plan.rounds; round++) {
      await load.line((line) => line === 'ready', plan.deadlineMs)
      const before = telltale.cpuMs()
      load.send('go')
      const result = JSON.parse(await load.line((line) => line.startsWith('{'), plan.deadlineMs)) as FanoutResult
      const used = telltale.cpuMs() - before
      if (round === 0) continue
      perSecond.push((result.deliveries * 1000) / result.elapsedMs)
      cpuUs.push((used * MICROSECONDS_PER_MS) / result.deliveries)
      bytesPerReading = result.bytesPerReading
    }
    return { perSecond, cpuUs, bytesPerReading }
  } finally {
    await load.stop()
  }
}
