/** Owns `telltale map try`: what a file of maps makes of one message, without a platform. */

import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { Maps } from '../../maps/maps.ts'
import { systemClock } from '../../platform/clock.ts'
import { messageOf, TelltaleError } from '../../platform/errors.ts'
import { printable } from '../../platform/printable.ts'
import { loadSettings } from '../../platform/settings.ts'
import { parseTime } from '../../platform/units.ts'
import { FOREIGN } from '../../schemas/content-type.ts'
import { foreignPayload } from '../../schemas/foreign.ts'
import { Rejection } from '../../schemas/reading.ts'
import { schemasWith } from '../installation.ts'
import { UsageError } from '../usage-error.ts'

interface TryOptions {
  readonly topic: string
  readonly payload?: string
  readonly payloadHex?: string
  readonly payloadFile?: string
  readonly retained?: boolean
  readonly received?: string
}

export function tryCommand(): Command {
  return new Command('try')
    .description('the readings that a message becomes by the maps of a file, one JSON a line')
    .argument('<file>', 'the file of maps')
    .requiredOption('--topic <topic>', 'the topic that it comes on')
    .option('--payload <text>', 'what it says')
    .option('--payload-hex <digits>', 'what it says, in hexadecimal')
    .option('--payload-file <file>', 'a file with what it says; - for standard input')
    .option('--retained', 'it is retained')
    .option('--received <time>', 'when it is received; now unless given')
    .action(tryMap)
}

function tryMap(file: string, { topic, retained = false, ...options }: TryOptions): void {
  const receivedAt = options.received === undefined ? systemClock.now() : parseTime(options.received)
  if (receivedAt === undefined) throw new UsageError(`--received is "${options.received}": allowed is ISO 8601`)
  const payload = payloadOf(options)
  const schemas = schemasWith(loadSettings(), [{ file, text: read(file).toString('utf8') }])
  const maps = new Maps(schemas)
  const match = maps.for(topic)
  if (match === undefined) {
    const what = maps.count === 0 ? `there is no map in ${file}` : `no map of ${file} is for ${topic}`
    throw new TelltaleError('no-map', what)
  }
  const { map, names } = match
  // What leaves all out stands before others for that.
  const passedOver = map.definition.ignoresAll ? [] : maps.passedOver(topic)
  for (const { definition } of passedOver) {
    const other = `${definition.where.where} is for this topic, too, and is not used: the first is`
    process.stderr.write(`telltale: ${printable(other)}\n`)
  }
  const place = map.place(names, payload, retained)
  if (place.kind === 'unplaced') throw new TelltaleError('invalid-reading', place.why)
  if (place.kind === 'left') {
    process.stdout.write(`nothing: ${printable(map.definition.where.where)} leaves such a message out\n`)
    return
  }
  const message = { ...place, receivedAt, framing: FOREIGN, payload: foreignPayload(topic, payload) }
  const readings = schemas.decode(message)
  if (readings instanceof Rejection) throw new TelltaleError(readings.code, `${readings.code}: ${readings.reason}`)
  for (const missing of map.missing(names, { topic, receivedAt, payload })) {
    process.stderr.write(`telltale: ${printable(missing)}\n`)
  }
  for (const { device, stream, ts, values } of readings) {
    process.stdout.write(`${JSON.stringify({ device, stream, ts, values })}\n`)
  }
  if (readings.length === 0) process.stdout.write('nothing: what it says is left out\n')
}

function payloadOf({ payload, payloadHex, payloadFile }: Omit<TryOptions, 'topic'>): Buffer {
  if ([payload, payloadHex, payloadFile].filter((given) => given !== undefined).length !== 1) {
    throw new UsageError('one of --payload, --payload-hex and --payload-file is needed')
  }
  if (payloadHex !== undefined) {
    const digits = payloadHex.replaceAll(/\s/g, '')
    if (/^([0-9a-f]{2})*$/i.test(digits)) return Buffer.from(digits, 'hex')
    throw new UsageError('--payload-hex is not in hexadecimal')
  }
  if (payload !== undefined) return Buffer.from(payload)
  return read(payloadFile === '-' ? 0 : (payloadFile ?? ''))
}

function read(file: string | number): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new TelltaleError('no-file', `${file} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
