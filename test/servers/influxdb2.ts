/**
 * Runs a real InfluxDB 2.7, set up with an organisation, a bucket and a token. The binary is TELLTALE_TEST_INFLUXD2, or
 * the packed one beside the project, unpacked once into the temp directory of this machine.
 */

import { spawn } from 'node:child_process'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { chmod, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import type { InfluxOptions } from '../../ingest/influx/connection.ts'
import { answers, findProgram, freePort, isExecutable, MissingServer, run, type TestServer } from './server.ts'

const PACKED = fileURLToPath(new URL('../../../shared/servers/influxd-2.7.12-linux-x64.xz', import.meta.url))
const UNPACKED = join(tmpdir(), 'telltale-influxd-2.7.12')

export interface Influxdb2 extends TestServer {
  readonly api: 'v2'
  /** What the ingest role is given to use it. */
  readonly store: InfluxOptions
  readonly org: string
  readonly bucket: string
  readonly token: string
}

export async function startInfluxdb2(
  options: { bucket?: string; port?: number; directory?: string } = {},
): Promise<Influxdb2> {
  const program = await influxd2()
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const server = await run({
    program,
    ...(options.directory !== undefined && { directory: options.directory }),
    args: (directory) => [
      ...['--bolt-path', join(directory, 'b.bolt'), '--sqlite-path', join(directory, 's.sqlite')],
      ...['--engine-path', join(directory, 'engine'), '--http-bind-address', `127.0.0.1:${port}`],
      ...['--reporting-disabled', '--log-level', 'error'],
    ],
    env: (directory) => ({ HOME: directory }),
    ready: () => answers(`${url}/health`),
  })
  const account = { org: 'telltale', bucket: options.bucket ?? 'telemetry', token: 'test-token' }
  const setup = await fetch(`${url}/api/v2/setup`, {
    method: 'POST',
    body: JSON.stringify({ username: 'admin', password: 'adminadmin', ...account }),
  })
  // 422: this directory was set up by an earlier run of it.
  if (setup.status !== 201 && setup.status !== 422) {
    await server.stop()
    throw new Error(`setting up InfluxDB 2 answered ${setup.status}: ${await setup.text()}`)
  }
  const access = { url, api: 'v2' as const, ...account }
  return { ...access, store: { kind: 'influx', ...access }, stop: server.stop }
}

/** Makes another bucket, which keeps its points for so many seconds; for ever unless given. */
export async function createBucket(
  server: Pick<Influxdb2, 'url' | 'token'>,
  name: string,
  everySeconds = 0,
): Promise<void> {
  const headers = { authorization: `Token ${server.token}` }
  const answer = await (await fetch(`${server.url}/api/v2/orgs`, { headers })).json()
  const { orgs } = answer as { orgs: { id: string }[] }
  const retentionRules = everySeconds === 0 ? [] : [{ type: 'expire', everySeconds }]
  const body = JSON.stringify({ orgID: orgs[0]?.id, name, retentionRules })
  const created = await fetch(`${server.url}/api/v2/buckets`, { method: 'POST', headers, body })
  if (created.status !== 201) throw new Error(`making the bucket ${name} answered ${created.status}`)
}

async function influxd2(): Promise<string> {
  const named = process.env.TELLTALE_TEST_INFLUXD2
  if (named !== undefined && named !== '') {
    if (isExecutable(named)) return named
    throw new MissingServer(`needs InfluxDB 2: TELLTALE_TEST_INFLUXD2 is "${named}", which is no program`)
  }
  if (isExecutable(UNPACKED)) return UNPACKED
  if (!existsSync(PACKED)) throw new MissingServer('needs InfluxDB 2.7 (set TELLTALE_TEST_INFLUXD2 to its influxd)')
  // Under a name of our own first: another test may be unpacking it too, and a half of it must not be run.
  const partial = `${UNPACKED}.${process.pid}`
  const xz = spawn(findProgram('xz', 'apt install xz-utils'), ['-dc'], { stdio: ['pipe', 'pipe', 'inherit'] })
  await Promise.all([pipeline(createReadStream(PACKED), xz.stdin), pipeline(xz.stdout, createWriteStream(partial))])
  await chmod(partial, 0o755)
  await rename(partial, UNPACKED)
  return UNPACKED
}
