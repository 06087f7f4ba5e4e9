/** Rules on a real log and a real gateway, told to real servers. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { AlertsPage } from '../../../gateway/alerts/listing.ts'
import { REPLAYED } from '../../../log/entry.ts'
import { until } from '../../until.ts'
import { duckdb } from '../live/aged.ts'
import {
  environment,
  HOUR_MS,
  NOW,
  publish,
  SERVERS,
  startPlatform,
  type TestPlatform,
  vibration,
} from '../platform.ts'
import { Receiver } from './receiver.ts'

const [SERVER = 'node'] = SERVERS

function put(platform: TestPlatform, ...texts: readonly string[]): void {
  platform.rules.use(texts.map((text, index) => ({ file: `${index}.yaml`, text })))
}

const list = async (platform: TestPlatform, token?: string) =>
  (await (await platform.get('/v1/alerts', token === undefined ? {} : { token })).json()) as AlertsPage

async function begin(t: TestContext, given: Parameters<typeof startPlatform>[2] = {}) {
  const receiver = await Receiver.start(t)
  return { receiver, platform: await startPlatform(t, SERVER, given) }
}

/** What was told is told no more: the answer has come, too. */
const noted = (platform: TestPlatform) =>
  until(async () => /^telltale_alert_posts_waiting 0$/m.test(await platform.metrics.metrics()))

/** Temperatures of a device, a second apart. */
async function send(platform: TestPlatform, device: string, ...temperatures: readonly number[]): Promise<void> {
  for (const temperature of temperatures) {
    platform.clock.time += 1_000
    await platform.publish(device, 'environment', environment(platform.clock.time, temperature))
  }
}

test('a field beyond its value is told once while it lasts, and once when it is back', async (t) => {
  const { receiver, platform } = await begin(t)
  put(
    platform,
    `name: hot\nabove: { devices: devices/truck-+, field: environment.temperature, value: 60, until: 55 }\nto: [ ${receiver.url}/x ]`,
  )
  await send(platform, 'truck-1', 59, 61.5, 62, 57, 61)
  await send(platform, 'car-1', 70)
  await until(() => receiver.told.length > 0)
  await send(platform, 'truck-1', 54, 59, 61)
  await until(() => receiver.told.length >= 3)
  assert.deepEqual(receiver.states, ['hot truck-1 firing', 'hot truck-1 resolved', 'hot truck-1 firing'])
  const [first, second, third] = receiver.messages
  const { id, alert, ...rest } = first ?? assert.fail()
  assert.deepEqual(rest, {
    rule: 'hot',
    device: 'truck-1',
    stream: 'environment',
    state: 'firing',
    since: NOW + 2_000,
    sentence: 'truck-1: environment.temperature is 61.5 Cel, above 60',
  })
  assert.deepEqual([second?.alert, second?.until], [alert, NOW + 7_000])
  assert.equal(second?.sentence, 'truck-1: environment.temperature is 54 Cel, no longer above 60')
  assert.equal(new Set([id, second?.id, third?.id]).size, 3)
  assert.notEqual(third?.alert, alert)
  assert.deepEqual([receiver.told[0]?.headers['idempotency-key'], receiver.told[0]?.url], [id, '/x'])

  const { alerts } = await list(platform)
  assert.deepEqual(
    alerts.map(({ state, since }) => [state, since]),
    [
      ['firing', NOW + 9_000],
      ['resolved', NOW + 2_000],
    ],
  )
  const other = await platform.identity.signApp(['devices/truck-1/telemetry/power'], HOUR_MS)
  assert.deepEqual((await list(platform, other)).alerts, [])
})

test('for so long is by the times of readings, or by the clock; what is within again before is not told', async (t) => {
  const { receiver, platform } = await begin(t)
  put(
    platform,
    `name: flat\nbelow: { devices: devices/+, field: environment.temperature, value: 0, for: 1m }\nto: ${receiver.url}`,
  )
  await send(platform, 'a', -1, -2, 5)
  // A backlog, in one go.
  const times = [-120, -90, -50].map((seconds) => environment(NOW + seconds * 1_000, -3))
  await platform.publish('b', 'environment', times)
  await until(() => receiver.told.length === 1)
  assert.deepEqual(receiver.states, ['flat b firing'])
  assert.equal(receiver.messages[0]?.since, NOW - 120_000)
  // One that comes late changes nothing.
  await platform.publish('b', 'environment', environment(NOW - 100_000, 5))
  await send(platform, 'a', -1)
  platform.clock.time += 60_000
  await until(() => receiver.told.length === 2)
  assert.deepEqual(receiver.states, ['flat b firing', 'flat a firing'])
})

test('of a stream with tags each series is told of', async (t) => {
  const { receiver, platform } = await begin(t)
  put(
    platform,
    `name: shakes\nabove: { devices: devices/+, field: vibration.velocity_rms, value: 0.4 }\nto: ${receiver.url}`,
  )
  for (const axis of ['x', 'y', 'x'] as const)
    await platform.publish('a', 'vibration', platform.registry.encode('vibration', vibration(NOW, 's1', axis)))
  await until(() => receiver.told.length === 2)
  assert.deepEqual(
    receiver.messages.map(({ tags }) => tags),
    [
      { sensor: 's1', axis: 'x' },
      { sensor: 's1', axis: 'y' },
    ],
  )
})

test('a device that falls silent is told, and when it sends again', async (t) => {
  const { receiver, platform } = await begin(t)
  await send(platform, 'truck-1', 20)
  put(platform, `name: silent\nsilent: { devices: devices/truck-+, for: 5m }\nto: ${receiver.url}`)
  platform.clock.time += 300_000
  await until(() => receiver.told.length === 1)
  const [firing] = receiver.messages
  assert.deepEqual([firing?.since, firing?.state], [NOW + 1_000, 'firing'])
  assert.match(firing?.sentence ?? '', /^truck-1 is silent for 5m: the last came at 2025-11-23T02:13:21.000Z$/)
  platform.clock.time += 60_000
  await send(platform, 'truck-1', 20)
  await until(() => receiver.told.length === 2)
  assert.equal(receiver.messages[1]?.sentence, 'truck-1 sends again, after 361s of silence')
})

test('a device that a rule names and that never came is silent, too; where the broker began anew, nobody is yet', async (t) => {
  const { receiver, platform } = await begin(t)
  await send(platform, 'b', 20)
  put(
    platform,
    `name: silent\nsilent: { devices: devices/b, for: 1m }\nto: ${receiver.url}`,
    `name: never\nsilent: { devices: devices/a, for: 10m }\nto: ${receiver.url}`,
    // Nothing is stored here, so this fires by the time that has passed; it is looked at after silence.
    `name: looked\nlag: { above: 60s }\nto: ${receiver.url}`,
  )
  platform.clock.time += 59_000
  platform.log.journal.notePlatform({ kind: 'began', code: 'broker-up', text: 'the broker was started' })
  await until(() => platform.log.journal.ofPlatform() !== undefined)
  platform.clock.time += 2_000
  await until(() => receiver.told.length === 1)
  assert.deepEqual(receiver.states, ['looked - firing'])
  platform.clock.time += 600_000
  await until(() => receiver.told.length === 3)
  assert.deepEqual(receiver.states.slice(1), ['silent b firing', 'never a firing'])
})

test('what is set aside, of a stream that nobody knows too, ends a silence; what is replayed does not', async (t) => {
  const { receiver, platform } = await begin(t)
  await send(platform, 'a', 20)
  put(platform, `name: silent\nsilent: { devices: devices/a, for: 5m }\nto: ${receiver.url}`)
  platform.clock.time += 300_000
  await until(() => receiver.told.length === 1)
  // It was set aside while the alert had begun already, and came long ago.
  platform.clock.time += 1_000_000
  await publish(platform.log, NOW + 400_000, 'a', 'environment', environment(NOW + 400_000), REPLAYED)
  await publish(platform.log, NOW + 400_000, 'a', 'environment', environment(NOW + 400_000), REPLAYED)
  // It is looked at after the other: when it fires, the other did not.
  put(
    platform,
    `name: silent\nsilent: { devices: devices/a, for: 5m }\nto: ${receiver.url}`,
    `name: looked\nlag: { above: 10s }\nto: ${receiver.url}`,
  )
  await platform.publish('b', 'environment', environment(NOW))
  platform.clock.time += 20_000
  await until(() => receiver.told.length === 2)
  assert.deepEqual(receiver.states, ['silent a firing', 'looked - firing'])
  await platform.publish('a', 'nobody-knows', { ts: NOW, x: 1 })
  await until(() => receiver.told.length === 3)
  assert.equal(receiver.states[2], 'silent a resolved')
  assert.equal(receiver.messages[2]?.sentence, 'a sends again, after 22m of silence')
})

test('of a device that never came it is said that nothing came, also after a restart, and then that its first message did', async (t) => {
  const { receiver, platform } = await begin(t, { devices: 'device: a' })
  put(platform, `name: silent\nsilent: { devices: devices/+, for: 1m }\nto: ${receiver.url}`)
  platform.clock.time += 60_000
  await until(() => receiver.told.length === 1)
  const sentence = () => receiver.messages.at(-1)?.sentence
  assert.equal(sentence(), "a has sent nothing since the platform's start at 2025-11-23T02:13:20.000Z")
  await noted(platform)
  await platform.restart()
  platform.devices.use([{ file: 'devices.yaml', text: '- { device: a }\n- { device: c }' }])
  platform.clock.time += 60_000
  await until(() => {
    platform.clock.time += 5_000
    return receiver.told.length === 2
  })
  assert.match(sentence() ?? '', /^c has sent nothing since /)
  await send(platform, 'a', 20)
  await until(() => receiver.told.length === 3)
  assert.equal(sentence(), `a sends: its first message came at ${new Date(platform.clock.time).toISOString()}`)
})

test('more dead letters of a device than a rule allows are told, and when they are fewer; a restart counts them once', async (t) => {
  const { receiver, platform } = await begin(t, {
    store: duckdb,
  })
  put(
    platform,
    `name: dead\ndead: { devices: devices/+, above: 2, over: 10m, code: malformed-json }\nto: ${receiver.url}`,
  )
  const bad = async (count: number) => {
    for (let sent = 0; sent < count; sent++) await platform.publish('a', 'environment', Buffer.from('{'))
  }
  await bad(2)
  await platform.publish('a', 'environment', Buffer.from('x'))
  await until(async () => (await platform.log.lastDeadLetter())[0] === 3)
  await platform.restart()
  assert.deepEqual(receiver.states, [])
  await bad(1)
  await until(() => receiver.told.length === 1)
  assert.match(
    receiver.messages[0]?.sentence ?? '',
    /^of a 3 messages were set aside within 10m, more than 2, the last as malformed-json$/,
  )
  await noted(platform)
  await platform.restart()
  platform.clock.time += 660_000
  await until(() => receiver.told.length === 2)
  assert.deepEqual(receiver.states, ['dead a firing', 'dead a resolved'])
})

test('a store that is behind is told of the platform, to any app', async (t) => {
  const { receiver, platform } = await begin(t)
  put(platform, `name: late\nlag: { above: 60s }\nto: ${receiver.url}`)
  await send(platform, 'a', 20)
  await until(async () => {
    platform.clock.time += 10_000
    return receiver.told.length > 0
  })
  const other = await platform.identity.signApp(['devices/z/telemetry/power'], HOUR_MS)
  const { alerts } = await list(platform, other)
  assert.deepEqual(
    alerts.map(({ kind, device, state }) => [kind, device, state]),
    [['lag', undefined, 'firing']],
  )
  assert.match(alerts[0]?.sentence ?? '', /^the store is .* behind, more than 1m$/)
})

test('an hour with less than was expected is told, and the next that is whole', async (t) => {
  const { receiver, platform } = await begin(t, {
    store: duckdb,
  })
  const hour = Math.ceil(NOW / HOUR_MS) * HOUR_MS
  const minutes = async (from: number, count: number) => {
    for (let minute = 0; minute < count; minute++) {
      platform.clock.time = from + minute * 60_000 + 1_000
      await platform.publish('a', 'environment', environment(platform.clock.time))
    }
  }
  await minutes(hour, 60)
  await minutes(hour + HOUR_MS, 30)
  put(platform, `name: whole\ncompleteness: { devices: devices/+, below: 90% }\nto: ${receiver.url}`)
  platform.clock.time = hour + 2 * HOUR_MS + 120_000
  await until(() => receiver.told.length === 1)
  assert.match(
    receiver.messages[0]?.sentence ?? '',
    /^of a came 50 % of what was expected from .* \(30 of 60\), less than 90 %$/,
  )
  await minutes(hour + 2 * HOUR_MS, 60)
  platform.clock.time = hour + 3 * HOUR_MS + 120_000
  await until(() => receiver.told.length === 2)
  assert.deepEqual(receiver.states, ['whole a firing', 'whole a resolved'])
})

test('a restart tells nothing twice, and looks at what came while nobody did', async (t) => {
  const { receiver, platform } = await begin(t)
  put(
    platform,
    `name: hot\nabove: { devices: devices/+, field: environment.temperature, value: 60 }\nto: ${receiver.url}`,
  )
  await send(platform, 'a', 61)
  await until(() => receiver.told.length === 1)
  await noted(platform)
  await platform.gateway.stop()
  await send(platform, 'b', 70, 20)
  await send(platform, 'a', 61)
  await platform.restart()
  await until(() => receiver.told.length === 3)
  await send(platform, 'a', 50)
  await until(() => receiver.told.length === 4)
  assert.deepEqual(receiver.states, ['hot a firing', 'hot b firing', 'hot b resolved', 'hot a resolved'])
})

test('where a rule is no more, or another, its alerts are over', async (t) => {
  const { receiver, platform } = await begin(t)
  const hot = (name: string, devices: string) =>
    `name: ${name}\nabove: { devices: ${devices}, field: environment.temperature, value: 60 }\nto: ${receiver.url}`
  put(platform, hot('one', 'devices/+'), hot('two', 'devices/+'))
  await send(platform, 'a', 61)
  await until(() => receiver.told.length === 2)
  put(platform, hot('two', 'devices/b'))
  await until(() => receiver.told.length === 4)
  assert.deepEqual(
    receiver.messages.slice(2).map(({ sentence }) => sentence),
    ['the rule one is there no more', 'the rule two is not of a now'],
  )
})

test('a device is in a rule by site and labels, or out of it, from when its file says so', async (t) => {
  const { receiver, platform } = await begin(t)
  const say = (...devices: readonly string[]) =>
    platform.devices.use([{ file: 'devices.yaml', text: devices.map((each) => `- { ${each} }`).join('\n') }])
  const north = 'site: yard, labels: { fleet: north }'
  say(`device: a, ${north}`, 'device: b, site: yard', 'device: "pump-*", labels: { fleet: north }')
  put(
    platform,
    `name: hot\nabove: { ${north}, field: environment.temperature, value: 60 }\nto: ${receiver.url}`,
    `name: silent\nsilent: { devices: devices/pump-+, labels: { fleet: north }, for: 5m }\nto: ${receiver.url}`,
    // It is looked at after the other: when it fires, the other did not.
    `name: looked\nsilent: { devices: devices/c, for: 5m }\nto: ${receiver.url}`,
  )
  await send(platform, 'b', 70)
  await send(platform, 'pump-1', 70)
  await send(platform, 'a', 61)
  await until(() => receiver.told.length === 1)
  assert.deepEqual(receiver.states, ['hot a firing'])

  say(`device: b, ${north}`, 'device: a, site: yard', 'device: "pump-*"')
  await until(() => receiver.told.length === 2)
  assert.equal(receiver.messages[1]?.sentence, 'the rule hot is not of a now')
  // What b sent before it was in the rule is not looked at, and no pump is in the rule that would be silent.
  await send(platform, 'a', 62, 63)
  await send(platform, 'b', 71)
  await until(() => receiver.told.length === 3)
  platform.clock.time += 600_000
  await until(() => receiver.told.length === 4)
  assert.deepEqual(receiver.states.slice(2), ['hot b firing', 'looked c firing'])

  say('device: b, site: yard', 'device: "pump-*", labels: { fleet: north }')
  await until(() => receiver.told.length === 6)
  assert.deepEqual(receiver.states.slice(4), ['hot b resolved', 'silent pump-1 firing'])
})

test('dead letters are counted by a rule from when a device is in it', async (t) => {
  const { receiver, platform } = await begin(t, { store: duckdb, devices: 'device: a' })
  const dead = (name: string, devices: string, above: number) =>
    `name: ${name}\ndead: { ${devices}, above: ${above}, over: 10m }\nto: ${receiver.url}`
  put(platform, dead('north', 'labels: { fleet: north }', 1), dead('all', 'devices: devices/+', 2))
  const bad = async (count: number) => {
    for (let sent = 0; sent < count; sent++) await platform.publish('a', 'environment', Buffer.from('{'))
  }
  await bad(3)
  await until(() => receiver.told.length === 1)
  platform.devices.use([{ file: 'devices.yaml', text: 'device: a\nlabels: { fleet: north }' }])
  await bad(2)
  await until(() => receiver.told.length === 2)
  assert.deepEqual(receiver.states, ['all a firing', 'north a firing'])
  assert.match(receiver.messages[1]?.sentence ?? '', /^of a 2 messages were set aside/)
})

test('ntfy and Alertmanager are told in their own ways', async (t) => {
  const { receiver, platform } = await begin(t)
  put(
    platform,
    `name: hot
above: { devices: devices/+, field: environment.temperature, value: 60 }
to:
  - { ntfy: "${receiver.url}/yard-17", token: tk_secret }
  - { alertmanager: "${receiver.url}/am/" }
`,
  )
  await send(platform, 'a', 61, 20)
  await until(() => receiver.told.length === 4)
  const ntfy = receiver.told.filter(({ url }) => url === '/yard-17')
  assert.deepEqual(
    ntfy.map(({ body, headers }) => [body, headers.title, headers.tags, headers.authorization]),
    [
      ['a: environment.temperature is 61 Cel, above 60', 'firing: hot a', 'warning', 'Bearer tk_secret'],
      [
        'a: environment.temperature is 20 Cel, no longer above 60',
        'resolved: hot a',
        'white_check_mark',
        'Bearer tk_secret',
      ],
    ],
  )
  const manager = receiver.told.filter(({ url }) => url === '/am/api/v2/alerts').map(({ body }) => JSON.parse(body)[0])
  const labels = { alertname: 'hot', source: 'telltale', device: 'a', stream: 'environment' }
  assert.deepEqual(
    manager.map((alert) => alert.labels),
    [labels, labels],
  )
  assert.equal(manager[0].startsAt, '2025-11-23T02:13:21.000Z')
  assert.equal(manager[1].endsAt, '2025-11-23T02:13:22.000Z')
  assert(!JSON.stringify(await list(platform)).includes('tk_secret'))
})
