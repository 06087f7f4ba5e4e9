/** Runs a real InfluxDB 1.x (Debian's package `influxdb`) with one database. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { InfluxOptions } from '../../ingest/influx/connection.ts'
import { answers, findProgram, freePort, run, type TestServer } from './server.ts'

export interface Influxdb1 extends TestServer {
  readonly api: 'v1'
  /** What the ingest role is given to use it. */
  readonly store: InfluxOptions
  readonly org: string
  /** The database. */
  readonly bucket: string
  /** Empty: authentication is off. */
  readonly token: string
}

export async function startInfluxdb1(
  options: { bucket?: string; port?: number; directory?: string; maxRowLimit?: number } = {},
): Promise<Influxdb1> {
  const program = findProgram('influxd', 'apt install influxdb')
  const port = options.port ?? (await freePort())
  const rpcPort = await freePort()
  const url = `http://127.0.0.1:${port}`
  const server = await run({
    program,
    ...(options.directory !== undefined && { directory: options.directory }),
    args: async (directory) => {
      const file = join(directory, 'influxdb.conf')
      await writeFile(file, configuration(directory, port, rpcPort, options.maxRowLimit ?? 0))
      return ['-config', file]
    },
    ready: () => answers(`${url}/ping`, 204),
  })
  const bucket = options.bucket ?? 'telemetry'
  const statement = `CREATE DATABASE "${bucket.replace(/["\\]/g, '\\$&')}"`
  // It answers before it is done: the end of the answer says that.
  await (await fetch(`${url}/query?q=${encodeURIComponent(statement)}`, { method: 'POST' })).text()
  const access = { url, api: 'v1' as const, org: '', bucket, token: '' }
  return { ...access, store: { kind: 'influx', ...access }, stop: server.stop }
}

/** `maxRowLimit`: rows of an answer that is not asked for in chunks; 0 for no limit. */
const configuration = (directory: string, port: number, rpcPort: number, maxRowLimit: number): string => `
reporting-disabled = true
bind-address = "127.0.0.1:${rpcPort}"
[meta]
  dir = "${directory}/meta"
[data]
  dir = "${directory}/data"
  wal-dir = "${directory}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[logging]
  level = "error"
[http]
  bind-address = "127.0.0.1:${port}"
  log-enabled = false
  max-row-limit = ${maxRowLimit}
`
