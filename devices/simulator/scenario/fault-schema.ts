/** Owns how the faults of `fault.ts` are written in a scenario file: of each kind the keys that it has, and their defaults. */

import { z } from 'zod'
import { nearestTo } from '../../../platform/names.ts'
import type { Fault } from './fault.ts'
import { allowing, anyNumber, befallen, duration, map, share, shown, signedDuration, text } from './scalars.ts'

/** More than the platform takes of one scenario's columns: as a schema's. */
const COLUMN_CHARS_MAX = 128
const FAULT_DEVICES_MAX = 20_000

const at = duration(0).describe('From when the fleet begins to send.')
const period = {
  at,
  for: duration(1).optional().describe('How long it lasts; to the end of the run if it is not given.'),
  devices: befallen(FAULT_DEVICES_MAX)
    .prefault('100%')
    .describe('Which devices it befalls: a share (10% or 0.1), so many (20), or ids with * for any text (truck-1*).'),
}
const ofMessages = {
  ...period,
  share: share().prefault('10%').describe('Of the messages of these devices within the time, so many.'),
}
const by = signedDuration().describe('How far the clock is ahead; behind with a minus: -5m.')

interface Written {
  readonly at: number
  readonly for?: number | undefined
  readonly devices: z.output<(typeof period)['devices']>
}
const periodOf = ({ at: atMs, for: forMs, devices }: Written) => ({
  atMs,
  forMs: forMs ?? Number.POSITIVE_INFINITY,
  devices,
})

const ofPeriod = <const Kind extends string>(kind: Kind, what: string) =>
  map({ kind: z.literal(kind), ...period })
    .describe(what)
    .transform((given) => ({ kind, ...periodOf(given) }))

const ofShare = <const Kind extends string>(kind: Kind, what: string) =>
  map({ kind: z.literal(kind), ...ofMessages })
    .describe(what)
    .transform((given) => ({ kind, ...periodOf(given), share: given.share }))

const ALL = [
  ofPeriod('link-loss', 'The link is cut, and comes back at the end; what is due meanwhile is sent then.'),
  map({
    kind: z.literal('reconnect-storm'),
    ...period,
    jitter: duration(0).prefault('0s').describe('Within which they come back; 0s: at once.'),
  })
    .describe('All are cut at once, and come back at once or within the jitter.')
    .transform(({ jitter, ...given }) => ({ kind: 'reconnect-storm' as const, ...periodOf(given), jitterMs: jitter })),
  ofShare('duplicates', 'A message is sent twice, the second time with DUP.'),
  ofShare('reordering', 'A message is sent after the one behind it.'),
  map({ kind: z.literal('clock-offset'), ...period, by })
    .describe("The device's clock is off by so much, for that time.")
    .transform((given) => ({ kind: 'clock-offset' as const, ...periodOf(given), byMs: given.by })),
  map({
    kind: z.literal('clock-drift'),
    ...period,
    'per-hour': signedDuration().describe('How far the clock goes away from the right time in an hour: 2s, or -500ms.'),
  })
    .describe('The clock goes too fast, or too slowly.')
    .transform((given) => ({ kind: 'clock-drift' as const, ...periodOf(given), msPerHour: given['per-hour'] })),
  map({ kind: z.literal('clock-jump'), at, devices: period.devices, by })
    .describe('The clock jumps once, and stays.')
    .transform((given) => ({ kind: 'clock-jump' as const, ...periodOf(given), byMs: given.by })),
  ofShare('repeated-times', 'A reading has the time of the one before it, and other values.'),
  map({
    kind: z.literal('stuck'),
    ...period,
    column: text(COLUMN_CHARS_MAX).optional().describe('Whose value stays; all if it is not given.'),
  })
    .describe('A sensor says the same for that time.')
    .transform((given) => ({ kind: 'stuck' as const, ...periodOf(given), column: given.column })),
  map({
    kind: z.literal('spikes'),
    ...ofMessages,
    factor: anyNumber().prefault(10).describe('By which a value is multiplied.'),
  })
    .describe('Now and then a value far off.')
    .transform((given) => ({
      kind: 'spikes' as const,
      ...periodOf(given),
      share: given.share,
      factor: given.factor,
    })),
  ofShare('truncated', 'The payload ends early.'),
  ofShare('hostile', 'Bytes that mean harm: noise, lengths that promise gigabytes, nested a thousand deep.'),
  ofShare('unknown-schema', 'The payload names a schema that nobody has registered.'),
  ofShare('forbidden-topic', "A message goes to another device's topic."),
  ofPeriod(
    'expired-token',
    'The link is cut, and the device comes back with a token that is over, and then with a good one.',
  ),
  ofPeriod('revoked-token', 'The same with a token that was revoked.'),
  ofPeriod('wrong-client-id', "The same with the client id of another device than the token's."),
  ofPeriod('same-id', 'A second device comes with its id, and both come back for that time.'),
  ofPeriod('mute', 'The device is connected and says nothing; what is due meanwhile is not measured.'),
  ofPeriod('never-acknowledges', 'The device acknowledges no command.'),
] as const

export const FAULT_KINDS: readonly string[] = ALL.map((schema) => schema.in.shape.kind.value)

const { error } = allowing('a map with kind, at and what the kind has')

export const faultSchema: z.ZodType<Fault> = z.discriminatedUnion('kind', ALL, {
  error: (issue) => {
    const { input } = issue
    const kind = (input as { readonly kind?: unknown } | null | undefined)?.kind
    if (issue.code !== 'invalid_union') return error(issue)
    if (kind === undefined) return `is missing; allowed are ${FAULT_KINDS.join(', ')}`
    const [nearest] = typeof kind === 'string' ? nearestTo(kind, FAULT_KINDS) : []
    const hint = nearest === undefined ? '' : `, and nearest is ${nearest}`
    return `is ${shown(kind)}, which is no kind of fault${hint}; allowed are ${FAULT_KINDS.join(', ')}`
  },
})
