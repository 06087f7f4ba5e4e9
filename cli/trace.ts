/**
 * Owns `telltale trace <device> <time>`: what became of the message of that time, step by step.
 *
 * The gateway that runs is asked, for it knows what went live. Where none answers, the log of the data directory is read. Exit code 0 if a
 * message was found, be it only near to the time, 1 if not.
 */

import { Command, InvalidArgumentError } from 'commander'
import { OneDevice } from '../gateway/devices/one-device.ts'
import type { Trace, TracedMessage } from '../gateway/devices/trace.ts'
import { Query } from '../gateway/request.ts'
import { isStreamName } from '../identity/topics.ts'
import { printable } from '../platform/printable.ts'
import { loadSettings } from '../platform/settings.ts'
import { readDeviceId } from './device-id.ts'
import { everything, fromLog } from './devices/beside.ts'
import { withLog } from './log.ts'
import { askGateway } from './running.ts'
import { readTime } from './time.ts'

interface Options {
  readonly stream?: string
  readonly json?: boolean
}

export function traceCommand(): Command {
  return new Command('trace')
    .argument('<device>', 'its id', readDeviceId)
    .argument(
      '<time>',
      'when it was received, or the time of its reading: 2025-11-23T12:00:00.123Z, or so long ago as 90m',
      readTime,
    )
    .option('--stream <name>', 'only of this stream', readStream)
    .option('--json', 'as JSON')
    .action(trace)
}

async function trace(device: string, at: number, { stream, json }: Options): Promise<void> {
  const settings = loadSettings()
  const query = `at=${at}${stream === undefined ? '' : `&stream=${stream}`}`
  const path = `/v1/devices/${encodeURIComponent(device)}/trace?${query}`
  const answer =
    (await askGateway<Trace>(settings, path, `devices/${device}/telemetry/#`)) ??
    (await withLog(async (log) =>
      new OneDevice(await fromLog(log, settings)).trace(device, new Query(query), everything()),
    ))
  process.stdout.write(json ? `${JSON.stringify(answer)}\n` : shown(answer))
  if (answer.messages.length === 0) process.exitCode = 1
}

function readStream(text: string): string {
  if (isStreamName(text)) return text
  throw new InvalidArgumentError('Allowed is a-z, then up to 63 of a-z 0-9 _.')
}

const TIME_CHARS = new Date(0).toISOString().length

function shown({ sentence, messages }: Trace): string {
  return `${[printable(sentence), ...messages.flatMap(linesOf)].join('\n')}\n`
}

function linesOf({ stream, shard, offset, received, committed, outcome, live }: TracedMessage): string[] {
  const steps = [received, committed, outcome, live].map(({ at, text }) => {
    const time = at === undefined ? '' : new Date(at).toISOString()
    return `  ${time.padEnd(TIME_CHARS)}  ${printable(text)}`
  })
  const mend = outcome.mend === undefined ? [] : [`  ${''.padEnd(TIME_CHARS)}  mend: ${printable(outcome.mend)}`]
  return ['', `${stream}, entry ${offset} of shard ${shard}`, ...steps, ...mend]
}
