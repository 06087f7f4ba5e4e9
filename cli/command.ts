/**
 * Owns `telltale command`: sends a command to a device, lists what became of those there are, or takes one back; beside a platform that
 * runs, or before one does.
 */

import { Command, InvalidArgumentError, Option } from 'commander'
import {
  COMMAND_BYTES_MAX,
  COMMAND_EXPIRY_MS_MAX,
  COMMAND_EXPIRY_MS_MIN,
  type Command as DeviceCommand,
} from '../log/commands.ts'
import type { Log } from '../log/log.ts'
import { systemClock } from '../platform/clock.ts'
import { formatDuration, parseDuration } from '../platform/units.ts'
import { readDeviceId } from './device-id.ts'
import { withLog } from './log.ts'
import { formatTable } from './table.ts'
import { UsageError } from './usage-error.ts'

const EXPIRES_IN = '1h'

interface CommandOptions {
  readonly expiresIn: number
  readonly cancel?: string
  readonly json?: boolean
}

export function commandCommand(): Command {
  return new Command('command')
    .argument('<device>', 'its id', readDeviceId)
    .argument('[payload]', 'JSON, which the device gets as it is; without one its commands are listed', parsePayload)
    .addOption(
      new Option('--expires-in <duration>', 'how long it may wait for the device')
        .argParser(parseExpiry)
        .default(parseExpiry(EXPIRES_IN), EXPIRES_IN),
    )
    .option('--cancel <id>', 'takes this one back')
    .option('--json', 'one JSON object a line')
    .action((device: string, payload: Buffer | undefined, options: CommandOptions) => run(device, payload, options))
}

async function run(device: string, payload: Buffer | undefined, options: CommandOptions): Promise<void> {
  const { cancel, json = false } = options
  if (payload !== undefined && cancel !== undefined)
    throw new UsageError('a payload and --cancel are given: one is meant')
  await withLog(async (log) => {
    if (cancel !== undefined) show([await takeBack(log, device, cancel)], json)
    else if (payload === undefined) show(log.commands.of(device), json)
    else {
      const { id } = await log.commands.add({ device, payload, expiresAt: systemClock.now() + options.expiresIn })
      process.stdout.write(json ? `${JSON.stringify({ id })}\n` : `${id}\n`)
    }
  })
}

async function takeBack({ commands }: Log, device: string, id: string): Promise<DeviceCommand> {
  const [cancelled] = await commands.change(device, [{ id, state: 'cancelled' }])
  if (cancelled !== undefined) return cancelled
  const known = commands.of(device).find((each) => each.id === id)
  throw new UsageError(
    known === undefined
      ? `${device} has no command ${JSON.stringify(id)}: telltale command ${device} lists them`
      : `the command is ${known.state} already: only what is not over can be cancelled`,
  )
}

function show(commands: readonly DeviceCommand[], json: boolean): void {
  if (json) {
    for (const { payload, ...rest } of commands) {
      process.stdout.write(`${JSON.stringify({ ...rest, payload: JSON.parse(textOf(payload)) })}\n`)
    }
    return
  }
  const time = (at: number | undefined) => (at === undefined ? '-' : new Date(at).toISOString())
  const rows = commands.map(({ id, state, createdAt, sentAt, endedAt, payload, reason }) => {
    return [
      id,
      reason === undefined ? state : `${state} (${reason})`,
      ...[createdAt, sentAt, endedAt].map(time),
      textOf(payload),
    ]
  })
  process.stdout.write(formatTable(['id', 'state', 'created', 'sent', 'over', 'payload'], rows))
}

const textOf = (payload: Uint8Array) => Buffer.from(payload).toString('utf8')

function parsePayload(value: string): Buffer {
  const payload = Buffer.from(compact(value))
  if (payload.length <= COMMAND_BYTES_MAX) return payload
  throw new InvalidArgumentError(`It has ${payload.length} bytes: allowed are ${COMMAND_BYTES_MAX}.`)
}

function compact(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text))
  } catch {
    throw new InvalidArgumentError(`It is no JSON; a text is '${JSON.stringify(text)}'.`)
  }
}

function parseExpiry(value: string): number {
  const ms = parseDuration(value)
  if (ms !== undefined && ms >= COMMAND_EXPIRY_MS_MIN && ms <= COMMAND_EXPIRY_MS_MAX) return ms
  const [min, max] = [COMMAND_EXPIRY_MS_MIN, COMMAND_EXPIRY_MS_MAX].map(formatDuration)
  throw new InvalidArgumentError(`Allowed is a duration from ${min} to ${max}, such as 10m.`)
}
