/** Runs a real VictoriaMetrics (Debian's package `victoria-metrics`), which takes InfluxDB's v2 writes. */

import { join } from 'node:path'
import type { InfluxOptions } from '../../ingest/influx/connection.ts'
import { answers, findProgram, freePort, run, type TestServer } from './server.ts'

export interface VictoriaMetrics extends TestServer {
  readonly api: 'v2'
  /** What the ingest role is given to use it. */
  readonly store: InfluxOptions
  readonly org: string
  readonly bucket: string
  readonly token: string
  /** Every sample it holds of a device, as its export API prints them (one JSON a line). Names are `measurement_field`. */
  samples(device: string): Promise<readonly VictoriaSeries[]>
}

export interface VictoriaSeries {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly number[]
  /** Milliseconds. */
  readonly timestamps: readonly number[]
}

export async function startVictoriaMetrics(retention = '100y'): Promise<VictoriaMetrics> {
  const program = findProgram('victoria-metrics', 'apt install victoria-metrics')
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const server = await run({
    program,
    args: (directory) => [
      `-httpListenAddr=127.0.0.1:${port}`,
      `-storageDataPath=${join(directory, 'data')}`,
      '-loggerLevel=ERROR',
      `-retentionPeriod=${retention}`,
    ],
    ready: () => answers(`${url}/health`),
  })
  const samples = async (device: string) => {
    await fetch(`${url}/internal/force_flush`)
    const match = encodeURIComponent(`{device=${JSON.stringify(device)}}`)
    const lines = await (await fetch(`${url}/api/v1/export?match[]=${match}`)).text()
    return lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line): VictoriaSeries => JSON.parse(line))
  }
  const access = { url, api: 'v2' as const, org: 'telltale', bucket: 'telemetry', token: '' }
  return { ...access, store: { kind: 'influx', ...access }, samples, stop: server.stop }
}
