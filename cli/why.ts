/**
 * Owns `telltale why <device>`: why its data is missing, in a sentence, with what shows it and what mends it.
 *
 * The gateway that runs is asked. Where none answers, the answer comes from the data directory, and says too that the platform does not
 * run. Exit code 0 if all is well, 1 if not.
 */

import { Command } from 'commander'
import { asOf, factsOf, withPending } from '../gateway/devices/facts.ts'
import { type Why, whyOf } from '../gateway/devices/why.ts'
import type { DeclaredDevices } from '../identity/declared-devices.ts'
import { INGEST_READER, type Log } from '../log/log.ts'
import { systemClock } from '../platform/clock.ts'
import { TelltaleError } from '../platform/errors.ts'
import { nearestTo } from '../platform/names.ts'
import { printable } from '../platform/printable.ts'
import { loadSettings, type Settings } from '../platform/settings.ts'
import { readDeviceId } from './device-id.ts'
import { loadDevices } from './installation.ts'
import { withLog } from './log.ts'
import { askGateway, withBroker } from './running.ts'
import { readTime } from './time.ts'

interface Options {
  readonly at?: number
  readonly json?: boolean
}

export function whyCommand(): Command {
  return new Command('why')
    .argument('<device>', 'its id', readDeviceId)
    .option('--at <time>', 'as of then: 2025-11-23T12:00:00Z, or so long ago as 90m', readTime)
    .option('--json', 'as JSON')
    .action(why)
}

async function why(device: string, { at, json }: Options): Promise<void> {
  const settings = loadSettings()
  const query = at === undefined ? '' : `?at=${at}`
  const path = `/v1/devices/${encodeURIComponent(device)}/why${query}`
  // The names near to it lie outside of the token's filter: they are looked for here.
  const answer =
    (await askGateway<Why>(settings, path, `devices/${device}/telemetry/#`)) ??
    (await withLog((log) => lookInLog(log, settings, device, at)))
  process.stdout.write(json ? `${JSON.stringify(answer)}\n` : shown(answer))
  if (answer.cause !== 'well') process.exitCode = 1
}

async function lookInLog(log: Log, settings: Settings, device: string, at: number | undefined): Promise<Why> {
  const { presence, journal, roles } = log
  const { declared } = loadDevices(settings)
  const full = () => log.full?.message
  const known = { log, presence, journal, roles, latest: undefined, declared, clock: systemClock, full }
  const facts = await factsOf(device, known)
  if (facts === undefined) throw unknown(log, declared, device)
  if (at !== undefined && at < facts.now) return whyOf(asOf(facts, at, journal))
  const all = withPending(facts, await log.deviceLedger(INGEST_READER, device))
  return whyOf({ ...all, platform: await withBroker(facts.platform, settings) })
}

function unknown({ presence, journal }: Log, declared: DeclaredDevices, device: string): TelltaleError {
  const names = function* () {
    for (const known of presence.all()) yield known.device
    yield* journal.named()
    for (const known of declared.ids) if (presence.get(known) === undefined) yield known
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
