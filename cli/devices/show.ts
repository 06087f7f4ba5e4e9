/** Owns `telltale devices show`: all that is known of one device. */

import { Command } from 'commander'
import { type DeviceRecord, OneDevice } from '../../gateway/devices/one-device.ts'
import { duration } from '../../gateway/devices/words.ts'
import { Query } from '../../gateway/request.ts'
import { loadSettings } from '../../platform/settings.ts'
import { readDeviceId } from '../device-id.ts'
import { withLog } from '../log.ts'
import { askGateway } from '../running.ts'
import { formatTable } from '../table.ts'
import { ALL_DEVICES, everything, fromLog } from './beside.ts'
import { shownLabels } from './list.ts'

export function showCommand(): Command {
  return new Command('show')
    .description('all that is known of one device; `telltale why` says in a sentence why its data is missing')
    .argument('<device>', 'its id', readDeviceId)
    .option('--json', 'as JSON')
    .action(show)
}

async function show(device: string, { json }: { json?: boolean }): Promise<void> {
  const settings = loadSettings()
  const record =
    (await askGateway<DeviceRecord>(settings, `/v1/devices/${encodeURIComponent(device)}`, ALL_DEVICES)) ??
    (await withLog(async (log) =>
      new OneDevice(await fromLog(log, settings)).record(device, new Query(''), everything()),
    ))
  process.stdout.write(json ? `${JSON.stringify(record)}\n` : shown(record))
}

function shown(record: DeviceRecord): string {
  const { ledger, streams, hours, deadLetters } = record
  const set = `${ledger.accepted} accepted, ${ledger.stored} stored, ${ledger.deadLettered} set aside, ${ledger.pending} pending`
  const facts: readonly (readonly [name: string, value: string | undefined])[] = [
    ['state', `${record.state} (${record.cause})`],
    ['site', record.site],
    ['labels', record.labels && shownLabels(record.labels)],
    [record.online ? 'connected since' : 'away since', timeOf(record.since)],
    ['from', record.from],
    ['last message', timeOf(record.heardAt)],
    ['last stored', timeOf(record.lastStoredAt)],
    ['interval', spanOf(record.intervalMs)],
    ['clock off by', spanOf(record.clockOffsetMs)],
    ['messages', set],
  ]
  const tables = [
    formatTable(
      ['device', record.device],
      facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
  ]
  if (streams.length > 0) {
    const rows = streams.map(({ stream, expected, heardAt, last }) => [
      stream,
      expected ? 'yes' : '-',
      timeOf(heardAt) ?? '-',
      timeOf(last?.ts) ?? '-',
    ])
    tables.push(formatTable(['stream', 'expected', 'last message', 'last reading'], rows))
  }
  if (hours.length > 0) {
    const rows = hours.map(({ from, received, expected, completeness, setAside }) => [
      new Date(from).toISOString(),
      ...[received, expected, setAside].map((count) => String(count ?? '-')),
      completeness === undefined ? '-' : `${Math.floor(completeness * 100)}%`,
    ])
    tables.push(formatTable(['hour', 'received', 'expected', 'set aside', 'complete'], rows))
  }
  if (deadLetters.length > 0) {
    const rows = deadLetters.map(({ code, count, held, lastAt, reason }) => [
      code,
      held === count ? String(count) : `${count} (${held} held)`,
      timeOf(lastAt) ?? '',
      reason,
    ])
    tables.push(formatTable(['dead letters', 'count', 'last', 'reason'], rows))
  }
  return tables.join('\n')
}

const spanOf = (ms: number | undefined) => (ms === undefined ? undefined : duration(Math.abs(ms)))
const timeOf = (at: number | undefined) => (at === undefined ? undefined : new Date(at).toISOString())
