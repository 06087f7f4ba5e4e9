/**
 * Owns what a scenario file may say (docs/simulator.md), key by key, and what is taken where it says nothing. Editors know it by
 * `scenario.schema.json`, which is made of this (`json-schema.ts`).
 *
 * Bounds: `DEVICES_MAX` devices, and so many groups, sendings, faults and conditions as stand here; more are refused.
 */

import { z } from 'zod'
import { isDeviceId } from '../../../identity/topics.ts'
import { READINGS_PER_MESSAGE_MAX } from '../../../platform/limits.ts'
import { formatDuration } from '../../../platform/units.ts'
import type { Signal } from '../signals/signal-kinds.ts'
import { faultSchema } from './fault-schema.ts'
import {
  allowing,
  anyNumber,
  duration,
  list,
  map,
  number,
  oneOf,
  share,
  shown,
  text,
  time,
  timeOfDay,
  whole,
} from './scalars.ts'
import { FORMATS, type Group, type Level, QOS, type Scenario, type Sending } from './scenario.ts'

/** More devices asked of one simulator: refused. */
export const DEVICES_MAX = 20_000
/** More messages a second asked of one device: refused. */
export const RATE_MAX = 10_000
const GROUPS_MAX = 100
const SENDINGS_MAX = 20
const FAULTS_MAX = 200
const CONDITIONS_MAX = 50
const VERSIONS_MAX = 100
/** More messages of a device at once: refused. */
export const BURST_MAX = 10_000
const NAME_CHARS_MAX = 200
const TOPIC_CHARS_MAX = 512
/** Of an integer that a double holds. */
const COUNT_MAX = Number.MAX_SAFE_INTEGER
const DECIMALS_MAX = 9
/** What MQTT can say (3.1.1 section 3.1.2.10). */
const KEEPALIVE_SECONDS_MAX = 65_535

const decimals = whole(0, DECIMALS_MAX).optional().describe('Digits behind the point.')
const scalar = () => {
  const allowed = allowing('a number, text, true or false')
  return z.union([z.number(), z.string(), z.boolean()], allowed)
}

/** What is not given is not there. */
const withDecimals = <T extends { readonly decimals?: number | undefined }>({ decimals, ...given }: T) => ({
  ...given,
  ...(decimals !== undefined && { decimals }),
})

const unchanged = <T>(given: T): T => given

const SIGNALS = [
  map({
    kind: z.literal('walk'),
    min: anyNumber(),
    max: anyNumber(),
    step: anyNumber().describe('As far as it goes from one reading to the next.'),
    decimals,
  })
    .describe('Goes up and down by chance, between min and max.')
    .transform(withDecimals),
  map({
    kind: z.literal('daily'),
    min: anyNumber(),
    max: anyNumber(),
    peak: timeOfDay().prefault('14:00').describe('When it is highest, UTC.'),
    noise: anyNumber().prefault(0).describe('By as much it is off by chance.'),
    decimals,
  })
    .describe('Rises and falls with the hours of the day.')
    .transform(withDecimals),
  map({ kind: z.literal('constant'), value: scalar() })
    .describe('Always the same.')
    .transform(unchanged),
  map({
    kind: z.literal('counter'),
    from: anyNumber().prefault(0),
    step: anyNumber().describe('By as much it rises with each reading.'),
    decimals,
  })
    .describe('Rises.')
    .transform(withDecimals),
  map({
    kind: z.literal('one-of'),
    values: list(scalar(), 1, 1_000, 'values'),
    change: share().prefault('2%').describe('How often it changes: a share of the readings.'),
  })
    .describe('One of a few values, and now and then another.')
    .transform(unchanged),
] as const

const SIGNAL_KINDS = SIGNALS.map((schema) => schema.in.shape.kind.value).join(', ')
const notASignal = allowing('a map with kind and what the kind has')

export const signalSchema: z.ZodType<Signal> = z.discriminatedUnion('kind', SIGNALS, {
  error: (issue) => {
    if (issue.code !== 'invalid_union') return notASignal.error(issue)
    const kind = (issue.input as { readonly kind?: unknown } | undefined)?.kind
    return `is ${kind === undefined ? 'missing' : shown(kind)}; allowed are ${SIGNAL_KINDS}`
  },
})

export const sendingSchema: z.ZodType<Sending> = map({
  stream: text(64).describe('The stream that is sent.'),
  every: duration(0)
    .optional()
    .describe('Between the messages of a device; 0: as fast as they are acknowledged. 1s if nothing is said.'),
  rate: number(0, RATE_MAX)
    .optional()
    .describe('Messages a second and device, in place of every; 0: as fast as they are acknowledged.'),
  burst: whole(1, BURST_MAX).prefault(1).describe('So many messages at once, each time; their rate stays.'),
  qos: oneOf(QOS).prefault(1).describe('Quality of service.'),
  batch: whole(1, READINGS_PER_MESSAGE_MAX).prefault(1).describe('Readings a message.'),
  format: oneOf(FORMATS).prefault('avro').describe('How payloads are written; map: as JSON on the topic of a map.'),
  versions: list(whole(1, COUNT_MAX), 1, VERSIONS_MAX, 'versions')
    .optional()
    .describe("Of the stream's schema: each device has one of them, in turn; the newest if nothing is said."),
  signals: z
    .record(z.string(), signalSchema, allowing('a map of columns'))
    .prefault({})
    .describe('By column what it measures; the others are drawn by their unit and name.'),
  topic: text(TOPIC_CHARS_MAX)
    .optional()
    .describe(
      'Of the format map: the topic, with {device} in it. Of sparkplug it may be spBv1.0/{group}/DDATA/{node}/<device>, with the name of the group.',
    ),
}).transform(({ every, rate, versions, topic, ...same }) => ({
  ...same,
  everyMs: everyMsOf(every, rate),
  versions,
  topic,
}))

const EVERY_MS = 1_000
const everyMsOf = (every: number | undefined, rate: number | undefined): number => {
  if (rate !== undefined) return rate === 0 ? 0 : 1_000 / rate
  return every ?? EVERY_MS
}

const prefixAllowed = allowing('what device ids begin with: A-Z a-z 0-9 . _ : -')

export const groupSchema: z.ZodType<Group> = map({
  prefix: z
    .string(prefixAllowed)
    .refine(isDeviceId, prefixAllowed)
    .prefault('sim-')
    .describe('Device ids are this and a number from 1.'),
  devices: whole(1, DEVICES_MAX).prefault(10).describe('How many.'),
  mqtt: oneOf(['3.1.1', '5', 5])
    .transform((level) => String(level) as Level)
    .prefault('3.1.1')
    .describe('The version of MQTT.'),
  keepalive: duration(0, KEEPALIVE_SECONDS_MAX * 1_000)
    .refine((ms) => ms % 1_000 === 0, {
      error: ({ input }) => `is ${formatDuration(Number(input))}; allowed is a duration of whole seconds, such as 60s`,
    })
    .prefault('60s')
    .describe('Without a packet for so long the device sends a PINGREQ; 0: never.'),
  sends: list(sendingSchema, 1, SENDINGS_MAX, 'streams that are sent').describe('What each device sends.'),
}).transform(({ keepalive, ...same }) => ({ ...same, keepaliveSeconds: keepalive / 1_000 }))

/** `name` is undefined where the file has none. */
export const scenarioSchema = map({
  name: text(NAME_CHARS_MAX).optional().describe('For people; the name of the file if nothing is said.'),
  seed: whole(0, 2 ** 32 - 1)
    .prefault(1)
    .describe('The same seed sends the same values.'),
  start: time()
    .optional()
    .describe('Of the first readings, such as 2026-01-31T12:00:00Z; when the run begins if nothing is said.'),
  duration: duration(1).optional().describe('How long it sends; without an end if nothing is said.'),
  messages: whole(1, COUNT_MAX).optional().describe('It ends after so many, of all devices together.'),
  ramp: duration(0).prefault('0s').describe('Over which the devices connect and begin to send.'),
  drain: duration(0).prefault('10s').describe('After the end, for what is not acknowledged yet.'),
  fleet: list(groupSchema, 1, GROUPS_MAX, 'groups of devices').describe('Groups of devices that are alike.'),
  faults: list(faultSchema, 0, FAULTS_MAX, 'faults').prefault([]).describe('What goes wrong, and when.'),
  'fail-if': list(text(NAME_CHARS_MAX), 0, CONDITIONS_MAX, 'conditions')
    .prefault([])
    .describe('The run fails if one of these holds: p99>250ms, lost>0, rate<100.'),
}).transform(
  ({
    name,
    start,
    duration,
    messages,
    ramp,
    drain,
    'fail-if': failIf,
    ...same
  }): Omit<Scenario, 'name'> & { readonly name: string | undefined } => ({
    ...same,
    name,
    startAt: start,
    durationMs: duration ?? Number.POSITIVE_INFINITY,
    messages: messages ?? Number.POSITIVE_INFINITY,
    rampMs: ramp,
    drainMs: drain,
    failIf,
  }),
)
