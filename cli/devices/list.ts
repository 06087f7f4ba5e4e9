/** Owns `telltale devices list`: all devices, or those of a site or with labels, as the gateway has them. */

import { Command, InvalidArgumentError } from 'commander'
import { type DeviceListing, Devices, type DevicesPage } from '../../gateway/devices/devices.ts'
import { Query } from '../../gateway/request.ts'
import { loadSettings, type Settings } from '../../platform/settings.ts'
import { withLog } from '../log.ts'
import { askGateway } from '../running.ts'
import { formatTable } from '../table.ts'
import { ALL_DEVICES, everything, fromLog } from './beside.ts'

const PAGE = 1_000

interface Options {
  readonly site?: string
  readonly label?: readonly string[]
  readonly json?: boolean
}

export function listCommand(): Command {
  return new Command('list')
    .description('all that are known or declared: where each is, its state, why, and when it was last seen')
    .option('--site <site>', 'those of this site')
    .option('--label <name:value>', 'those with this label; may be repeated, for those that have all', collectLabel)
    .option('--json', 'one JSON object a line')
    .action(list)
}

async function list(options: Options): Promise<void> {
  const settings = loadSettings()
  const devices = (await ofGateway(settings, options)) ?? (await withLog((log) => ofLog(log, settings, options)))
  if (options.json) {
    for (const device of devices) process.stdout.write(`${JSON.stringify(device)}\n`)
    return
  }
  const rows = devices.map(({ device, site = '-', labels, state, cause, lastSeen }) => {
    const seen = lastSeen === undefined ? '-' : new Date(lastSeen).toISOString()
    return [device, site, shownLabels(labels), state, cause, seen]
  })
  process.stdout.write(formatTable(['device', 'site', 'labels', 'state', 'cause', 'last seen'], rows))
}

export function shownLabels(labels: Readonly<Record<string, string>> = {}): string {
  const all = Object.entries(labels).map(([name, value]) => `${name}:${value}`)
  return all.length === 0 ? '-' : all.join(' ')
}

function ofGateway(settings: Settings, options: Options): Promise<DeviceListing[] | undefined> {
  return pages(options, (query) => askGateway<DevicesPage>(settings, `/v1/devices?${query}`, ALL_DEVICES))
}

async function ofLog(log: Parameters<typeof fromLog>[0], settings: Settings, options: Options) {
  const devices = new Devices(await fromLog(log, settings))
  return (await pages(options, (query) => devices.page(new Query(query), everything()))) ?? []
}

/** Undefined if a page does not come. */
async function pages(
  { site, label: labels = [] }: Options,
  ask: (query: string) => Promise<DevicesPage | undefined>,
): Promise<DeviceListing[] | undefined> {
  const found: DeviceListing[] = []
  const given = [`limit=${PAGE}`, ...(site === undefined ? [] : [`site=${encodeURIComponent(site)}`])]
  given.push(...labels.map((label) => `label=${encodeURIComponent(label)}`))
  let after: string | undefined
  do {
    const page = await ask([...given, ...(after === undefined ? [] : [`after=${after}`])].join('&'))
    if (page === undefined) return undefined
    found.push(...page.devices)
    after = page.next
  } while (after !== undefined)
  return found
}

function collectLabel(value: string, previous: string[] = []): string[] {
  if (!/^[^:]+:./.test(value)) throw new InvalidArgumentError('Allowed is a name and its value: fleet:north.')
  return [...previous, value]
}
