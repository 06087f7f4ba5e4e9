import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asOf, type Facts } from '../../../gateway/devices/facts.ts'
import type { PlatformFacts } from '../../../gateway/devices/platform-facts.ts'
import { whyOf } from '../../../gateway/devices/why.ts'
import type { JournalEvent, JournalKind } from '../../../log/journal.ts'
import { nearestTo } from '../../../platform/names.ts'
import { FOREIGN, SPARKPLUG } from '../../../schemas/content-type.ts'

const NOW = 1_763_864_000_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE

const event = (kind: JournalKind, code: string, ago: number, more: Partial<JournalEvent> = {}): JournalEvent => ({
  kind,
  code,
  text: `as ${code}`,
  firstAt: NOW - ago,
  at: NOW - ago,
  count: 1,
  ...more,
})

const receipts = (more: Partial<NonNullable<Facts['receipts']>> = {}) => ({
  stored: 10,
  deadLettered: 0,
  readings: 10,
  superseded: 0,
  lastReceivedAt: NOW - 500,
  lastStoredAt: NOW - 500,
  hours: [],
  deadLetters: [],
  ...more,
})

const letters = (code: string, ago: number) => ({
  code,
  count: 3,
  held: 3,
  firstAt: NOW - ago - HOUR,
  lastAt: NOW - ago,
  stream: 's',
  reason: 'so',
})

const WELL: Facts = {
  device: 'truck-7',
  now: NOW,
  isPast: false,
  online: true,
  since: NOW - HOUR,
  heardAt: NOW - 500,
  hasReadings: true,
  intervalMs: 1_000,
  clockOffsetMs: undefined,
  receipts: receipts(),
  hours: [],
  events: [event('connected', 'connected', HOUR)],
  totals: [],
  pending: 0,
  platform: { down: [] },
}

const causeOf = (facts: Partial<Facts>) => whyOf({ ...WELL, ...facts }).cause
const platform = (more: Partial<PlatformFacts>): PlatformFacts => ({ down: [], ...more })

test('of several causes the first is told: what hides the others', () => {
  assert.equal(causeOf({}), 'well')
  assert.equal(causeOf({ clockOffsetMs: -2 * HOUR }), 'clock-ahead')
  assert.equal(causeOf({ clockOffsetMs: 2 * HOUR }), 'clock-behind')
  const mendAt = (clockOffsetMs: number) => whyOf({ ...WELL, clockOffsetMs }).mend ?? ''
  // NOW is 02:13:20.
  assert.match(mendAt(-2 * HOUR), /`to=` says later, such as to=2025-11-23T04:23Z$/)
  assert.match(mendAt(2 * HOUR), /`from=` says earlier, such as from=2025-11-23T00:03Z$/)
  assert.equal(causeOf({ receipts: receipts({ superseded: 3, supersededAt: NOW - MINUTE }) }), 'repeats-times')
  const bad = receipts({ deadLetters: [letters('empty', 100)] })
  assert.equal(causeOf({ receipts: bad, clockOffsetMs: 2 * HOUR }), 'set-aside')
  const away = platform({ storeAway: { since: NOW - MINUTE, text: 'refused' } })
  assert.equal(causeOf({ receipts: bad, pending: 5, platform: away }), 'store-away')
  assert.equal(causeOf({ pending: 0, platform: away }), 'well', 'nothing of it waits')
  const dropped = [...WELL.events, event('dropped', 'publish-forbidden', 100)]
  assert.equal(causeOf({ events: dropped, pending: 5, platform: away }), 'wrong-topic')
  const full = platform({ logFull: { since: NOW - MINUTE, text: 'full' } })
  assert.equal(causeOf({ events: dropped, platform: full }), 'log-full')
  const refused = [...WELL.events, event('disconnected', 'lost', MINUTE), event('refused', 'expired-token', 100)]
  assert.equal(causeOf({ events: refused, online: false, platform: full }), 'refused')
  assert.equal(
    causeOf({ events: refused, platform: platform({ down: [{ role: 'broker', since: NOW - 1 }] }) }),
    'broker-down',
  )
})

test('what was mended is told no more: a refusal before it was let in, dead letters before what is stored, a wrong topic', () => {
  const events = [event('refused', 'bad-token', HOUR), ...WELL.events]
  assert.equal(causeOf({ events }), 'well')
  assert.equal(causeOf({ receipts: receipts({ deadLetters: [letters('empty', HOUR)] }) }), 'well')
  assert.equal(causeOf({ events: [...WELL.events, event('dropped', 'publish-forbidden', MINUTE)] }), 'well')
  assert.equal(causeOf({ receipts: receipts({ superseded: 3, supersededAt: NOW - HOUR }) }), 'well')
  const replayed = { ...letters('unknown-schema', 100), held: 0 }
  assert.equal(
    causeOf({ receipts: receipts({ deadLetters: [replayed], lastStoredAt: NOW - 500 }) }),
    'well',
    'replayed',
  )
  const again = [event('dropped', 'publish-forbidden', 900), event('connected', 'connected', 800)]
  const before = receipts({ deadLetters: [letters('empty', 900)], superseded: 1, supersededAt: NOW - 900 })
  assert.equal(causeOf({ events: again, receipts: before }), 'well', 'it was so on the connection before')
  const gone = [...again, event('disconnected', 'lost', 100)]
  assert.equal(causeOf({ events: gone, receipts: before, online: false }), 'offline')
})

test('of a device that is gone it is told so, and a few old letters are not why', () => {
  const left = [...WELL.events, event('disconnected', 'left', 9 * MINUTE)]
  const lastHour = { from: NOW - HOUR - MINUTE, stored: 8, setAside: 2 }
  const thisHour = { from: NOW - MINUTE, stored: 0, setAside: 0 }
  const deadLetters = [letters('empty', 9.2 * MINUTE)]
  const few = receipts({ deadLetters, lastStoredAt: NOW - 9.1 * MINUTE, hours: [lastHour, thisHour] })
  const facts = { online: false, since: NOW - 9 * MINUTE, heardAt: NOW - 9.1 * MINUTE }
  assert.equal(causeOf({ ...facts, receipts: few, events: left }), 'offline')
  const whole = { ...WELL, ...facts, events: left }
  const { cause, sentence } = whyOf({ ...whole, intervalMs: 10 * MINUTE, receipts: few })
  assert.equal(cause, 'set-aside', 'it comes and goes for each message')
  assert.match(
    sentence,
    /^truck-7 sent before it left, and 2 of 10 messages of the hour from \d\d:\d\dZ on are set aside/,
  )
  const all = receipts({ deadLetters: [letters('empty', 9 * MINUTE)], lastStoredAt: NOW - HOUR })
  assert.match(whyOf({ ...whole, receipts: all }).sentence, /^what truck-7 sent before it left is set aside/)
  const lost = [...WELL.events, event('dropped', 'publish-forbidden', MINUTE), event('disconnected', 'lost', MINUTE)]
  const gone = { ...WELL, online: false, since: NOW - MINUTE, heardAt: undefined, receipts: undefined, events: lost }
  assert.match(whyOf(gone).sentence, /^truck-7 published on a topic that is not its own before its connection ended/)
  assert.match(whyOf({ ...gone, online: true }).sentence, /^truck-7 publishes on a topic/)
})

test('of a wrong topic and what is set aside the newer is told', () => {
  const events = [...WELL.events, event('dropped', 'publish-forbidden', MINUTE)]
  const bad = (ago: number) => receipts({ deadLetters: [letters('unknown-schema', ago)], lastStoredAt: NOW - HOUR })
  const heard = (ago: number) => ({ events, intervalMs: undefined, heardAt: NOW - ago, receipts: bad(ago) })
  assert.equal(causeOf(heard(MINUTE / 2)), 'set-aside')
  assert.equal(causeOf(heard(2 * MINUTE)), 'wrong-topic')
})

test("two devices with one id take each other's place; one that came back after that does not", () => {
  const turns = [3, 2, 1].flatMap((ago) => [
    event('disconnected', 'taken-over', ago * MINUTE),
    event('connected', 'connected', ago * MINUTE, { from: `10.0.0.${ago}` }),
  ])
  const { cause, sentence } = whyOf({ ...WELL, events: turns })
  assert.equal(cause, 'two-devices')
  assert.match(sentence, /3 times within 10 minutes, from 10.0.0.3 and 10.0.0.2 and 10.0.0.1/)
  const after = [...turns, event('disconnected', 'left', 3_000), event('connected', 'connected', 2_000)]
  assert.equal(causeOf({ events: after }), 'well')
})

test('what it did last stays the cause, however long ago, as long as nothing right came after it', () => {
  const quiet = (ago: number, more: Partial<Facts> = {}): Facts => ({ ...WELL, heardAt: NOW - ago, ...more })
  const bad = (ago: number) =>
    receipts({ deadLetters: [letters('empty', ago)], lastReceivedAt: NOW - ago, lastStoredAt: NOW - ago - MINUTE })
  const silent = whyOf(quiet(12 * MINUTE, { receipts: bad(12 * MINUTE) }))
  assert.equal(silent.cause, 'set-aside')
  assert.equal(silent.sentence, 'what truck-7 sent before it fell silent is set aside, the newest 12 min ago: so')
  const gone = { online: false, since: NOW - 5 * HOUR, events: [event('disconnected', 'left', 5 * HOUR)] }
  const { cause, sentence } = whyOf(quiet(6 * HOUR, { receipts: bad(6 * HOUR), ...gone }))
  assert.deepEqual([cause, sentence.includes('sent before it left is set aside')], ['set-aside', true])
  assert.equal(
    whyOf(quiet(12 * MINUTE, { receipts: receipts({ deadLetters: [letters('empty', HOUR)] }) })).cause,
    'silent',
  )

  const drop = event('dropped', 'publish-forbidden', 2 * HOUR, { text: 'no map takes topic "tele/x": telltale map' })
  const events = [...WELL.events, drop]
  const dropped = whyOf(
    quiet(3 * HOUR, { events, since: NOW - 4 * HOUR, receipts: receipts({ lastStoredAt: NOW - 3 * HOUR }) }),
  )
  assert.equal(dropped.cause, 'wrong-topic')
  assert.equal(
    dropped.sentence,
    'truck-7 published on tele/x before it fell silent, where nothing is taken; such messages are dropped',
  )
  assert.match(dropped.mend ?? '', /^have it publish on devices\/truck-7\/telemetry\/<stream>, or write a map/)

  // It came back after that, and sends nothing.
  const back = [event('connected', 'connected', 30 * MINUTE)]
  const again = whyOf(quiet(HOUR, { events: back, since: NOW - 30 * MINUTE, receipts: bad(HOUR) }))
  assert.equal(again.cause, 'sends-nothing')
  assert.match(again.sentence, /sends nothing; its last message came 1 h ago; what it sent before is set aside$/)
  const soon = quiet(HOUR, { events: back, since: NOW - 30 * MINUTE, receipts: bad(HOUR), intervalMs: HOUR })
  assert.equal(whyOf(soon).cause, 'set-aside', 'its next message is not due yet')
})

test('what was wrong just before it fell silent or went is told besides, and nothing of it where it goes on well', () => {
  const turns = [32, 31, 30].flatMap((ago) => [
    event('disconnected', 'taken-over', ago * MINUTE),
    event('connected', 'connected', ago * MINUTE),
  ])
  const before = {
    heardAt: NOW - 30 * MINUTE,
    since: NOW - 30 * MINUTE,
    receipts: receipts({ lastStoredAt: NOW - 30 * MINUTE }),
  }
  const silent = whyOf({ ...WELL, ...before, events: turns })
  assert.equal(silent.cause, 'silent')
  assert.match(silent.sentence, /\(30 min ago\); it used to send one every 1 s; before that two devices had this id$/)
  assert.match(silent.mend ?? '', /; give each device an id and a token of its own/)
  assert.equal(causeOf({ events: turns }), 'well')

  const slowed = event('slowed', 'rate-limited', 35 * MINUTE, {
    text: 'this device may publish 100 messages (TELLTALE_DEVICE_MESSAGES_PER_SECOND) a second',
  })
  const lost = event('disconnected', 'lost', 30 * MINUTE)
  const gone = whyOf({ ...WELL, ...before, online: false, events: [...WELL.events, slowed, lost] })
  assert.match(gone.sentence, /^truck-7 is offline since .*: as lost; before that it sent more than it may$/)
  const { sentence } = whyOf({ ...WELL, events: [...WELL.events, { ...slowed, at: NOW - 100 }] })
  assert.equal(
    sentence,
    'truck-7 sends more than it may (100 messages a second), and is read from more slowly; nothing is lost',
  )

  // Of the past nothing is told that came later, and no more of an hour than its counts say.
  const hourOf = (stored: number, setAside: number) => [{ from: NOW - 13 * MINUTE, stored, setAside, received: 9 }]
  const at = (ago: number, more: Partial<Facts>) =>
    whyOf(asOf({ ...WELL, ...more }, NOW - ago, { ofPlatform: () => undefined }))
  const repeated = { receipts: receipts({ superseded: 1, supersededAt: NOW - MINUTE }), hours: hourOf(9, 0) }
  assert.deepEqual([at(30_000, repeated).cause, at(2 * MINUTE, repeated).cause], ['repeats-times', 'well'])
  const deadLetters = [letters('empty', 100)]
  const some = at(MINUTE, { receipts: receipts({ deadLetters, hours: hourOf(7, 2) }), hours: hourOf(7, 2) })
  assert.match(some.sentence, /^truck-7 sends, and 2 of 9 messages of this hour are set aside: so$/)
  const all = at(MINUTE, { receipts: receipts({ deadLetters }), hours: hourOf(0, 9) })
  assert.match(all.sentence, /^truck-7 sends, and what it sends is set aside: so$/)

  // Another broker says later than the device had connected anew that its old connection was taken over.
  const moved = [...WELL.events, event('connected', 'connected', 600_000), event('disconnected', 'taken-over', 599_000)]
  assert.equal(at(5 * MINUTE, { events: moved }).cause, 'sends-nothing', 'it is connected')
})

test('silence is told within three intervals, and where a device has gone, how', () => {
  const quiet = {
    heardAt: NOW - 100_000,
    receipts: receipts({ lastReceivedAt: NOW - 100_000, lastStoredAt: NOW - 100_000 }),
  }
  assert.equal(causeOf({ ...quiet, intervalMs: 40_000 }), 'well')
  assert.equal(causeOf({ ...quiet, intervalMs: 30_000 }), 'silent')
  assert.equal(causeOf({ ...quiet, intervalMs: undefined }), 'well', 'nobody knows how often it sends')
  const gone = { online: false, since: NOW - MINUTE }
  assert.equal(causeOf({ ...gone, events: [...WELL.events, event('disconnected', 'keep-alive', MINUTE)] }), 'offline')
  const left = [...WELL.events, event('disconnected', 'left', 300)]
  assert.equal(causeOf({ ...gone, events: left }), 'well', 'it comes and goes for each message')
  assert.equal(causeOf({ ...gone, ...quiet, events: left }), 'offline')
  const never = {
    online: false,
    since: undefined,
    heardAt: undefined,
    hasReadings: false,
    events: [],
    receipts: undefined,
  }
  assert.equal(causeOf(never), 'never-connected')
  const used = whyOf({ ...WELL, ...never, events: [event('refused', 'used-by-another', MINUTE, { from: '10.0.0.3' })] })
  assert.deepEqual([used.cause, used.code], ['never-connected', 'used-by-another'])
  assert.match(used.sentence, /^truck-7 itself has never connected, and another used its token 1 min ago from 10.0.0.3/)
})

test('a stream that never came is told, once the device has had the time to send it', () => {
  const declared = { labels: {}, streams: ['vehicle', 'environment'] }
  const begun = receipts({ firstReceivedAt: NOW - HOUR })
  const missing = { declared, streams: ['environment'], receipts: begun }
  const { cause, sentence, mend } = whyOf({ ...WELL, ...missing })
  assert.equal(cause, 'missing-stream')
  assert.equal(sentence, 'truck-7 sends environment, but never vehicle, which it should by its file in config/devices')
  assert.match(mend ?? '', /take the stream out of its file/)
  assert.equal(causeOf({ ...missing, receipts: receipts({ firstReceivedAt: NOW - 4_000 }) }), 'well')
  assert.equal(causeOf({ ...missing, streams: ['environment', 'vehicle'] }), 'well')
  assert.equal(causeOf({ ...missing, isPast: true }), 'well', 'nobody knows what had come by then')
  assert.equal(causeOf({ declared, receipts: begun }), 'well', 'nobody has seen what goes by')
  const gone = { online: false, since: NOW - MINUTE, events: [event('disconnected', 'lost', MINUTE)] }
  assert.equal(causeOf({ ...missing, ...gone }), 'offline')
})

test('a stream that comes no more while others do is told: what should come, and what came like a clock', () => {
  const stream = (name: string, ago: number, more: object = {}) => {
    return { stream: name, heardAt: NOW - ago, intervalMs: 10_000, isRegular: true, ...more }
  }
  const others = stream('vehicle', 500)
  const sends = (...sent: ReturnType<typeof stream>[]) => ({
    sent: [others, ...sent],
    streams: ['environment', 'vehicle'],
  })
  const answer = whyOf({ ...WELL, ...sends(stream('environment', 40 * MINUTE)) })
  assert.deepEqual([answer.cause, answer.code], ['missing-stream', 'stream-stopped'])
  assert.equal(
    answer.sentence,
    'truck-7 sends no more environment since 2025-11-23T01:33:20Z (40 min ago); vehicle still comes',
  )
  assert(answer.evidence.some(({ at, text }) => at === NOW - 40 * MINUTE && text.includes('environment')))
  assert.match(answer.mend ?? '', /take it out of its file/)
  assert.equal(causeOf(sends(stream('environment', 90_000))), 'well', 'ten intervals')
  assert.equal(
    causeOf(sends(stream('environment', 40 * MINUTE, { isRegular: false }))),
    'well',
    'it tells of what happens',
  )
  assert.equal(causeOf(sends(stream('environment', 25 * HOUR))), 'well', 'it is sent no more')
  assert.equal(
    causeOf({ ...sends(stream('environment', 40 * MINUTE)), since: NOW - MINUTE }),
    'well',
    'it came back just now',
  )
  assert.equal(causeOf({ sent: [stream('environment', 500)] }), 'well')

  const declared = { labels: {}, streams: ['environment'], intervalMs: 20_000 }
  const irregular = sends(stream('environment', 70_000, { isRegular: false }))
  assert.equal(causeOf({ ...irregular, declared }), 'missing-stream', 'three intervals that its file says')
  assert.equal(causeOf({ ...irregular, declared: { ...declared, intervalMs: 30_000 } }), 'well')
  const noInterval = { labels: {}, streams: ['environment'] }
  assert.equal(
    causeOf({ ...irregular, declared: noInterval }),
    'missing-stream',
    'three that were learnt, and a minute',
  )
  assert.equal(causeOf({ ...sends(stream('environment', 50_000)), declared: noInterval }), 'well')

  // As of then: what had come by then is known of the stream that came no more, and not of what went on.
  const facts: Facts = {
    ...WELL,
    ...sends(stream('environment', 40 * MINUTE)),
    events: [event('connected', 'connected', 5 * HOUR)],
  }
  const hours = [1, 0].map((ago) => ({ from: NOW - ago * HOUR, stored: 5, setAside: 0, received: 5 }))
  const at = (ago: number) => whyOf(asOf({ ...facts, hours }, NOW - ago, { ofPlatform: () => undefined }))
  assert.equal(at(10 * MINUTE).sentence, 'truck-7 had sent no environment since 2025-11-23T01:33:20Z (30 min ago)')
  assert.equal(at(50 * MINUTE).cause, 'well')
})

test('a device of Sparkplug is back by its DBIRTH, or with its edge node', () => {
  const died = {
    ...WELL,
    device: 'plant:line4:pump',
    online: false,
    since: NOW - HOUR,
    heardAt: NOW - HOUR,
    events: [],
  }
  const edgeNode = { id: 'plant:line4', online: true, since: NOW - 2 * HOUR }
  const dead = whyOf({ ...died, edgeNode })
  assert.deepEqual([dead.cause, dead.code], ['offline', 'not-born'])
  assert.match(dead.sentence, /its edge node plant:line4 is there, and has told of its death/)
  assert.match(dead.mend ?? '', /publishes its DBIRTH/)
  const again = whyOf({ ...died, edgeNode: { ...edgeNode, since: NOW - MINUTE } })
  assert.match(again.sentence, /its edge node plant:line4 is there again .*, and has not told of its birth/)
  assert.equal(whyOf({ ...died, edgeNode, heardAt: NOW - 100, since: NOW - 50 }).code, 'not-born', 'at once')
  const end = event('disconnected', 'lost', HOUR)
  const { code, sentence, mend } = whyOf({ ...died, edgeNode: { ...edgeNode, online: false, since: NOW - HOUR, end } })
  assert.equal(code, 'edge-node-gone')
  assert.match(sentence, /^plant:line4:pump is offline .*for its edge node plant:line4 is gone .*: as lost$/)
  assert.match(mend ?? '', /^look at the edge node, not at the device/)
})

test('what mends a value that is refused is told by where it came: of a map or of Sparkplug there is no schema to register', () => {
  const mendOf = (framing?: number) => {
    const bad = { ...letters('invalid-reading', 100), ...(framing !== undefined && { framing }) }
    return whyOf({ ...WELL, receipts: receipts({ deadLetters: [bad] }) }).mend ?? ''
  }
  assert.match(mendOf(), /register a version/)
  assert.match(mendOf(FOREIGN), /change the map/)
  assert.match(mendOf(SPARKPLUG), /its birth gives the metric/)
})

test('as of a time before, it is answered by what was so then', () => {
  const journal = {
    ofPlatform: () => ({
      events: [event('began', 'store-away', 3 * HOUR), event('ended', 'store-away', HOUR)],
      totals: [],
    }),
  }
  const facts: Facts = {
    ...WELL,
    events: [event('refused', 'bad-token', 6 * HOUR), event('connected', 'connected', 4 * HOUR)],
    hours: [3, 2, 1, 0].map((ago) => ({ from: NOW - ago * HOUR, stored: 5, setAside: 0, received: 5 })),
  }
  const at = (ago: number) => whyOf(asOf(facts, NOW - ago, journal))
  assert.deepEqual([at(5 * HOUR).cause, at(5 * HOUR).code], ['refused', 'bad-token'])
  assert.equal(at(2 * HOUR).cause, 'store-away')
  assert.equal(at(MINUTE).cause, 'well')
  assert.equal(whyOf(facts).cause, 'well')
  // Of what came later than that only the hours are known.
  const received = (ago: number, more: Partial<Facts> = {}) => {
    const { evidence, sentence } = whyOf(asOf({ ...facts, ...more }, NOW - ago, journal))
    return [evidence.filter(({ text }) => text.endsWith('was received')).map((line) => NOW - line.at), sentence]
  }
  assert.deepEqual(received(MINUTE), [[], 'all is well with truck-7'])
  const heard = {
    heardAt: NOW - 2 * MINUTE,
    receipts: receipts({ lastStoredAt: NOW - 2 * MINUTE }),
    intervalMs: MINUTE,
  }
  assert.deepEqual(received(MINUTE, heard), [
    [2 * MINUTE],
    'all is well with truck-7: its last message came 1 min ago, one every 60 s',
  ])
})

test('as of a time before the newest was mended, that is why; now it is the one that is held', () => {
  const mended = { lastAt: NOW - 2 * MINUTE, stream: 'pump', reason: 'no stream is named "pump"' }
  const held = { ...letters('unknown-schema', 20 * MINUTE), held: 2, reason: 'no version 7', mended }
  const hours = [{ from: NOW - 30 * MINUTE, stored: 0, setAside: 3, received: 3 }]
  const facts = { ...WELL, hours, receipts: receipts({ deadLetters: [held], hours, lastStoredAt: NOW - HOUR }) }
  const before = (ago: number) => whyOf(asOf(facts, NOW - ago, { ofPlatform: () => undefined }))
  assert.match(whyOf(facts).sentence, /set aside, the newest 20 min ago: no version 7$/)
  assert.match(before(MINUTE).sentence, /set aside, the newest 1 min ago: no stream is named "pump"$/)
  assert.match(before(5 * MINUTE).sentence, /what it sends is set aside: no version 7$/)
})

test('what waits for the store for longer than half a minute is late, however often more comes, and a replay is not', () => {
  const late = {
    ...WELL,
    pending: 12,
    pendingSince: NOW - MINUTE,
    receipts: receipts({ lastReceivedAt: NOW - 2 * MINUTE }),
  }
  const { cause, sentence } = whyOf(late)
  assert.equal(cause, 'late')
  assert.match(
    sentence,
    /^what truck-7 sends is late: 12 messages of it wait for the store.* the oldest since .*Z \(1 min ago\)$/,
  )
  assert.equal(whyOf({ ...late, pendingSince: NOW - 20_000 }).cause, 'well')
  assert.equal(whyOf({ ...late, receipts: receipts() }).cause, 'well', 'what came before is put through again')
  assert.equal(whyOf({ ...late, platform: { down: [{ role: 'ingest' }] } }).cause, 'ingest-down')
})

test('the names nearest to one are found by how people write them, and none that is far', () => {
  const known = ['truck-1', 'truck-12', 'truck-2', 'pump-7', 'Truck_1', 'constructor']
  assert.deepEqual(nearestTo('truck_1', known), ['Truck_1', 'truck-1', 'truck-12'])
  assert.deepEqual(nearestTo('TRUCK-2', known), ['truck-2', 'Truck_1', 'truck-1'])
  assert.deepEqual(nearestTo('boiler', known), [])
})
