/**
 * Owns causes that are of a whole platform: each planted in one of its own, in as many processes as it takes, with what `why` has to
 * answer of the device that sends there.
 */

import type { TestContext } from 'node:test'
import type { Why } from '../../../gateway/devices/why.ts'
import { type FaultServer, startFaultServer } from '../../ingest/influx/fault-server.ts'
import { scratchDirectory } from '../../scratch.ts'
import { freePort } from '../../servers/server.ts'
import { until } from '../../until.ts'
import { type PlatformOptions, RunningPlatform } from '../platform.ts'
import { type Planted, Site, topicOf } from './planted.ts'

type Context = Pick<TestContext, 'after'>

export const DEVICE = 'truck-7'
/** So long a store takes for a write that is to have what comes meanwhile wait for too long, and is not given up. */
const SLOW_WRITE_MS = 25_000

export interface PlantedInPlatform extends Pick<Planted, 'name' | 'cause' | 'isSlow'> {
  /** What the sentence says besides. */
  readonly says: RegExp
  readonly plant: (t: Context) => Promise<Site>
}

const ROLES = ['broker', 'ingest', 'gateway'] as const
type Apart = Readonly<Record<(typeof ROLES)[number], RunningPlatform>>

const storeOf = ({ url }: Pick<FaultServer, 'url'>): PlatformOptions => ({
  store: { kind: 'influx', url, token: 't', org: 'o', bucket: 'b', api: 'v2' },
})

const NOBODY = { url: 'http://127.0.0.1:9' }

/** One that sends, at a platform in one process. */
async function sendingAt(t: Context, options: PlatformOptions): Promise<Site> {
  const site = await Site.of(await RunningPlatform.start(t as TestContext, options))
  t.after(() => site.stop())
  site.keepSending(await site.connect(DEVICE), DEVICE)
  return site
}

/** One that sends, at a platform of a process a role, of which something is stored before `then` happens. */
const apart =
  (then: (processes: Apart) => Promise<unknown>) =>
  async (t: Context): Promise<Site> => {
    const store = await startFaultServer(t)
    const ports = { mqtt: await freePort(), gateway: await freePort() }
    const directory = scratchDirectory(t as TestContext)
    const made = ROLES.map((roles) => [roles, new RunningPlatform(directory, ports, { ...storeOf(store), roles })])
    const processes = Object.fromEntries(made) as Apart
    t.after(() => Promise.all(ROLES.map((role) => processes[role].kill())))
    for (const role of ROLES) await processes[role].start()
    const site = await Site.of(processes.gateway)
    t.after(() => site.stop())
    site.keepSending(await site.connect(DEVICE), DEVICE)
    await site.answers(DEVICE, { cause: 'well' })
    await then(processes)
    return site
  }

export const PLANTED_IN_PLATFORM: readonly PlantedInPlatform[] = [
  {
    name: 'a store that does not answer',
    cause: 'store-away',
    says: /the store is away since \d{4}-.*nothing is lost/,
    plant: (t) => sendingAt(t, storeOf(NOBODY)),
  },
  {
    name: 'a log that is full',
    cause: 'log-full',
    says: /the platform takes no messages since .* keeps its own/,
    plant: async (t) => {
      const site = await sendingAt(t, { ...storeOf(NOBODY), environment: { TELLTALE_LOG_MAX_BYTES: '16MiB' } })
      const flood = await site.connect('flood')
      const payload = Buffer.alloc(200_000, 0x20)
      let isFull = false
      const flooding = (async () => {
        while (!isFull && flood.connected) {
          const sent = Array.from({ length: 8 }, () => flood.publishAsync(topicOf('flood'), payload, { qos: 1 }))
          await Promise.race([Promise.all(sent), until(() => isFull || !flood.connected)])
        }
      })().catch(() => undefined)
      await until(async () => (await fetch(`${site.platform.url}/readyz`)).status === 503)
      isFull = true
      await flooding
      return site
    },
  },
  {
    name: 'ingest that is stopped',
    cause: 'ingest-down',
    says: /for ingest is stopped since .* wait for it/,
    plant: apart(({ ingest }) => ingest.stop()),
  },
  {
    name: 'ingest that is killed',
    cause: 'ingest-down',
    says: /for ingest (does not run|is gone since.*) \(process \d+ was killed, or crashed\), and .* wait for it/,
    plant: apart(({ ingest }) => ingest.kill()),
  },
  {
    name: 'a broker that is stopped',
    cause: 'broker-down',
    says: /no device can send.*broker is stopped since/,
    plant: apart(({ broker }) => broker.stop()),
  },
  {
    name: 'a broker that is killed',
    cause: 'broker-down',
    says: /no device can send.*broker (does not run|is gone since.*) \(process \d+ was killed, or crashed\)/,
    plant: apart(({ broker }) => broker.kill()),
  },
  {
    name: 'a store that is slow',
    cause: 'late',
    isSlow: true,
    says: /wait for the store, which does not keep up, the oldest since/,
    plant: async (t) => {
      const store = await startFaultServer(t)
      store.answerMs = SLOW_WRITE_MS
      return sendingAt(t, storeOf(store))
    },
  },
]

/** Causes that are not planted, each with the reason why they cannot be. */
export const NOT_PLANTED: Readonly<Partial<Record<Why['cause'], string>>> = {}
