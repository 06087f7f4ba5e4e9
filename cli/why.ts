/**
 * Owns `telltale why <device>`: why its data is missing, in a sentence, with what shows it and what mends it.
 *
 * The gateway that runs is asked, by a token of a minute, for it has seen what goes by: the device's clock, its pace. Where none answers, the
 * answer comes from the data directory, and says too that the platform does not run. Exit code 0 if all is well, 1 if not.
 */

import { once } from 'node:events'
import { connect } from 'node:net'
import { Command, InvalidArgumentError } from 'commander'
import { asOf, type Facts, factsOf } from '../gateway/devices/facts.ts'
import { nearestTo } from '../gateway/devices/names.ts'
import { type Why, whyOf } from '../gateway/devices/why.ts'
import { isDeviceId } from '../identity/topics.ts'
import { INGEST_READER, type Log } from '../log/log.ts'
import { systemClock } from '../platform/clock.ts'
import { TelltaleError } from '../platform/errors.ts'
import { printable } from '../platform/printable.ts'
import { loadSettings, type Settings } from '../platform/settings.ts'
import { openKnownIdentity } from './installation.ts'
import { withLog } from './log.ts'
import { readTime } from './time.ts'

const TOKEN_MS = 60_000
const ANSWER_MS_MAX = 5_000
const CONNECT_MS_MAX = 1_000

interface Options {
  readonly at?: number
  readonly json?: boolean
}

export function whyCommand(): Command {
  return new Command('why')
    .argument('<device>', 'its id', readDevice)
    .option('--at <time>', 'as of then: 2025-11-23T12:00:00Z, or so long ago as 90m', readTime)
    .option('--json', 'as JSON')
    .action(why)
}

async function why(device: string, { at, json }: Options): Promise<void> {
  const settings = loadSettings()
  const answer =
    (await askGateway(settings, device, at)) ?? (await withLog((log) => lookInLog(log, settings, device, at)))
  process.stdout.write(json ? `${JSON.stringify(answer)}\n` : shown(answer))
  if (answer.cause !== 'well') process.exitCode = 1
}

/** Undefined if no gateway of this installation answers. */
async function askGateway(settings: Settings, device: string, at: number | undefined): Promise<Why | undefined> {
  const identity = await openKnownIdentity(settings)
  try {
    const token = await identity.signApp([`devices/${device}/telemetry/#`], TOKEN_MS)
    const query = at === undefined ? '' : `?at=${at}`
    const response = await fetch(`${gatewayUrl(settings)}/v1/devices/${encodeURIComponent(device)}/why${query}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
    // The names near to it lie outside of the token's filter: they are looked for here.
    return response.ok ? ((await response.json()) as Why) : undefined
  } catch {
    return undefined
  } finally {
    await identity.stop()
  }
}

function gatewayUrl({ gatewayHost, gatewayPort, tlsCert }: Settings): string {
  const host = gatewayHost === '0.0.0.0' || gatewayHost === '::' ? '127.0.0.1' : gatewayHost
  return `${tlsCert === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${gatewayPort}`
}

async function lookInLog(log: Log, settings: Settings, device: string, at: number | undefined): Promise<Why> {
  const { presence, journal } = log
  const full = () => log.full?.message
  const facts = await factsOf(device, { log, presence, journal, latest: undefined, clock: systemClock, full })
  if (facts === undefined) throw unknown(log, device)
  if (at !== undefined && at < facts.now) return whyOf(asOf(facts, at, journal))
  const { pending } = await log.deviceLedger(INGEST_READER, device)
  return whyOf(await withBroker({ ...facts, pending }, settings))
}

/** A broker that was killed has not said that it stopped. */
async function withBroker(facts: Facts, { mqttHost, mqttPort, mqttsPort }: Settings): Promise<Facts> {
  const { platform } = facts
  const isTold = platform.down.some(({ role }) => role === 'broker')
  if (
    isTold ||
    (await answers(mqttHost, mqttPort)) ||
    (mqttsPort !== undefined && (await answers(mqttHost, mqttsPort)))
  )
    return facts
  return { ...facts, platform: { ...platform, down: [...platform.down, { role: 'broker' }] } }
}

async function answers(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port, timeout: CONNECT_MS_MAX })
  socket.once('timeout', () => socket.destroy(new Error('no answer')))
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

function unknown({ presence, journal }: Log, device: string): TelltaleError {
  const names = function* () {
    for (const known of presence.all()) yield known.device
    yield* journal.named()
  }
  const nearest = nearestTo(device, names())
  const hint = nearest.length === 0 ? '' : `; near to it: ${nearest.join(', ')}`
  return new TelltaleError(
    'not-found',
    `never connected: no device ${device} has connected, sent anything, or been refused here${hint}`,
  )
}

function shown({ sentence, evidence, mend }: Why): string {
  const lines = evidence.map(({ at, text }) => `  ${new Date(at).toISOString()}  ${printable(text)}`)
  return [printable(sentence), ...lines, ...(mend === undefined ? [] : [`mend: ${printable(mend)}`]), ''].join('\n')
}

function readDevice(text: string): string {
  if (!isDeviceId(text)) throw new InvalidArgumentError('Allowed are 1 to 64 of A-Z a-z 0-9 . _ : -')
  return text
}
