import { after } from 'node:test'
import { InfluxStore } from '../../../ingest/influx/store.ts'
import { startInfluxdb1 } from '../../servers/influxdb1.ts'
import { createBucket, startInfluxdb2 } from '../../servers/influxdb2.ts'
import { requireServer } from '../../servers/server.ts'
import { historyContract } from '../history-contract.ts'
import { type OpenStore, storeContract } from '../store-contract.ts'

/** One server for the whole file, a bucket for each test, whose name needs quoting. */
const servers = new Map<string, Awaited<ReturnType<typeof startInfluxdb1 | typeof startInfluxdb2>>>()
let buckets = 0
after(async () => {
  for (const server of servers.values()) await server.stop()
})

const openV2: OpenStore = async (t, streams) => {
  const server = servers.get('v2') ?? (await requireServer({ skip: t.skip.bind(t), after: () => {} }, startInfluxdb2))
  if (server === undefined) return undefined
  servers.set('v2', server)
  const bucket = `it's my-bucket ${buckets++}`
  await createBucket(server, bucket)
  return new InfluxStore({ ...server.store, bucket }, { streams })
}

const openV1: OpenStore = async (t, streams) => {
  const server = servers.get('v1') ?? (await requireServer({ skip: t.skip.bind(t), after: () => {} }, startInfluxdb1))
  if (server === undefined) return undefined
  servers.set('v1', server)
  const bucket = `my "database" ${buckets++}`
  const q = `CREATE DATABASE "${bucket.replaceAll('"', '\\"')}"`
  // It answers before it is done: the end of the answer says that.
  await (await fetch(`${server.url}/query?${new URLSearchParams({ q })}`, { method: 'POST' })).text()
  return new InfluxStore({ ...server.store, bucket }, { streams })
}

for (const contract of [storeContract, historyContract]) {
  contract('influx v2 (InfluxDB 2.7)', openV2)
  contract('influx v1 (InfluxDB 1.x)', openV1)
}
