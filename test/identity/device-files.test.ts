import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DeviceFiles } from '../../identity/device-files.ts'
import type { ConfigError } from '../../platform/config-file.ts'

const file = (text: string, name = 'a.yaml') => ({ file: name, text })
const PASSWORD = `scrypt$2$1$1$${'A'.repeat(11)}$${'A'.repeat(22)}`

test('a device has what its entry says, then what is said of all whose ids begin so, the longest beginning first', () => {
  const { declared, ...files } = open(`
    - device: truck-7
      site: depot 4
      labels: { fleet: north, axles: 3 }
      streams: [vehicle, environment, vehicle]
      interval: 10s
    - devices: [truck-8, pump-1]
      labels: { fleet: south }
    - devices: ["truck-*"]
      site: yard
      labels: { fleet: all, kind: truck }
      interval: 1m
    - { device: "truck-9*", site: far, streams: [vehicle] }`)
  assert.deepEqual(declared.get('truck-7'), {
    site: 'depot 4',
    labels: { fleet: 'north', axles: '3', kind: 'truck' },
    streams: ['vehicle', 'environment'],
    intervalMs: 10_000,
  })
  assert.deepEqual(declared.get('truck-8'), {
    site: 'yard',
    labels: { fleet: 'south', kind: 'truck' },
    streams: [],
    intervalMs: 60_000,
  })
  assert.deepEqual(declared.get('truck-99'), {
    site: 'far',
    labels: { fleet: 'all', kind: 'truck' },
    streams: ['vehicle'],
    intervalMs: 60_000,
  })
  assert.equal(declared.get('pump-2'), undefined)
  assert.deepEqual(declared.ids, ['pump-1', 'truck-7', 'truck-8'])
  assert.equal(declared.has('truck-99'), false, 'it is described, and nobody says that it is there')
  for (const name of ['constructor', '__proto__']) assert.equal(declared.get(name), undefined)
  files.use([])
  assert.deepEqual([declared.ids, declared.get('truck-7')], [[], undefined])
})

function open(text: string) {
  const files = new DeviceFiles()
  files.use([file(text)])
  return { declared: files.declared, users: files.users, use: files.use.bind(files) }
}

test('one entry says both: who may connect with a password, and what is expected of its device', () => {
  const user = `user: kitchen\npassword: ${PASSWORD}\ndevice: plug-1\ndevices: ["tasmota_*"]`
  const { declared, users, use } = open(`${user}\nsite: kitchen\ninterval: 5m`)
  assert.equal(users.has('kitchen'), true)
  assert.deepEqual(declared.ids, ['plug-1'])
  assert.deepEqual(declared.get('plug-1'), { site: 'kitchen', labels: {}, streams: [], intervalMs: 300_000 })
  assert.equal(declared.get('tasmota_1'), undefined, 'it only speaks for those')
  // Or two do, in files of their own.
  use([file(user), file('device: plug-1\nsite: hall', 'b.yaml')])
  assert.equal(declared.get('plug-1')?.site, 'hall')
  assert.equal(users.has('kitchen'), true)
})

test('a fault is told with file and line, and what was in force stays', () => {
  const { declared, users, use } = open('device: truck-7\nsite: depot')
  const wrong: [text: string, message: RegExp][] = [
    ['- device: truck-8\n- device: truck-8', /^a.yaml:2: truck-8 is there already: a.yaml:1/],
    ['device: truck 8', /^a.yaml:1: "truck 8" is no device id/],
    ['device: truck-8\ndevices: [truck-9]', /^a.yaml:1: it has both device and devices/],
    ['site: depot', /^a.yaml:1: it names no device/],
    ['devices: []', /^a.yaml:1: it names no device/],
    ['device: truck-8\npassword: x', /^a.yaml:1: it has no user/],
    ['device: truck-8\nsight: x', /^a.yaml:2: "sight" is nothing that a device has; there are user, .*site, labels/],
    ['device: truck-8\nsite: ""', /^a.yaml:2: site is ""/],
    [`device: truck-8\nsite: ${'x'.repeat(129)}`, /^a.yaml:2: site is longer than 128/],
    ['device: truck-8\nlabels: [a]', /^a.yaml:2: labels is a list; a map is right/],
    ['device: truck-8\nlabels:\n  a:b: 1', /^a.yaml:3: "a:b" is no name of a label/],
    ['device: truck-8\nlabels: { a: [1] }', /^a.yaml:2: the label a is a list/],
    [`device: truck-8\nlabels: { ${Array.from({ length: 17 }, (_, at) => `a${at}: 1`)} }`, /17 labels; allowed are 16/],
    ['device: truck-8\nstreams: [Vehicle]', /^a.yaml:2: "Vehicle" is no stream/],
    ['device: truck-8\ninterval: 10', /^a.yaml:2: the interval is 10; a duration from 100ms to 366d is right/],
    ['device: truck-8\ninterval: 1ms', /^a.yaml:2: the interval is "1ms"/],
    [`- user: a\n  password: ${PASSWORD}\n- user: a\n  password: ${PASSWORD}`, /^a.yaml:3: the user a is there twice/],
    [Array.from({ length: 101 }, (_, at) => `- device: "a${at}*"`).join('\n'), /^a.yaml:101: there are more than 100/],
  ]
  for (const [text, message] of wrong) {
    assert.throws(() => use([file(text)]), { code: 'bad-config', message })
    assert.deepEqual([declared.ids, users.has('a')], [['truck-7'], false], text)
  }
})

test('a file of 5,000 devices is read, and a file beside it that changes does not have it read again', () => {
  const { declared, use } = open('')
  const many = Array.from(
    { length: 5_000 },
    (_, at) =>
      `- device: truck-${at}\n  site: depot-${at % 40}\n  labels: { fleet: north }\n  streams: [vehicle]\n  interval: 10s\n`,
  ).join('')
  use([file(many), file('device: pump-1', 'b.yaml')])
  const before = declared.get('truck-4999')
  assert.deepEqual([declared.ids.length, before?.site], [5_001, 'depot-39'])
  use([file(many), file('device: pump-2', 'b.yaml')])
  assert.equal(declared.get('truck-4999'), before)
  assert.deepEqual([declared.has('pump-1'), declared.has('pump-2')], [false, true])
})

/** Random files of devices: lists, with what YAML allows between and within items, some of them broken. */
const files = fc
  .array(
    fc.record({
      id: fc.constantFrom('a', 'b', '"truck-*"', 'c d', '{', "'x'", '[p, q]'),
      site: fc.constantFrom(
        'depot',
        '"a\\nb"',
        '|\n    two\n    lines',
        '[x',
        '# none',
        "'it''s'",
        '>-\n    - folded\n\n    # more',
      ),
      between: fc.constantFrom('', '\n', '# a comment\n', '  # another\n', '---\n', '...\n', 'x: 1\n', '-\n', '\r\n'),
      key: fc.constantFrom('device', 'devices', 'devise'),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((items) => items.map(({ id, site, between, key }) => `${between}- ${key}: ${id}\n  site: ${site}\n`).join(''))

test('read by parts a file says what it says read whole; of one with a fault a line with a fault is told', async () => {
  await fc.assert(
    fc.asyncProperty(files, fc.nat(8), async (text, unbroken) => {
      // Most are broken by chance: a good one is long, too.
      const good = Array.from({ length: 100 * unbroken }, (_, n) => `- device: d${n}\n  site: s\n`).join('')
      const [whole, parts] = [new DeviceFiles(), new DeviceFiles()]
      const given = [file(good + text)]
      await parts.prepare(given)
      const told = [whole, parts].map((each) => {
        try {
          each.use(given)
          return undefined
        } catch (error) {
          return error as ConfigError
        }
      })
      assert.equal(told[0] === undefined, told[1] === undefined, `${told[0]?.message}, by parts ${told[1]?.message}`)
      assert.match(told[1]?.message ?? 'a.yaml:1', /^a.yaml:\d+/)
      assert.deepEqual(parts.declared.ids, whole.declared.ids)
      for (const id of whole.declared.ids) assert.deepEqual(parts.declared.get(id), whole.declared.get(id))
    }),
    { numRuns: 40 },
  )
})

test('a fault in a part of a long file is told as it is of the whole file, and others have their turn meanwhile', async () => {
  const items = Array.from({ length: 2_000 }, (_, n) => `- device: truck-${n}\n  labels: { fleet: north }\n`)
  for (const [bad, fault] of [
    ['- device: a\n  sites: b\n', /^a.yaml:4002: "sites" is nothing that a device has/],
    ['- device: a\n  labels: { b\n', /^a.yaml:4003: is not YAML/],
    ['- device: a\n  site: b\n  site: c\n', /^a.yaml:4003: the key site is there twice/],
    ['- device: truck-7\n', /^a.yaml:4001: truck-7 is there already: a.yaml:15/],
  ] as const) {
    const devices = new DeviceFiles()
    devices.use([file('device: before')])
    let turns = 0
    const counting = setInterval(() => turns++)
    await devices.prepare([file([...items, bad, ...items.slice(0, 9)].join(''))])
    clearInterval(counting)
    assert(turns > 3, `${turns} turns`)
    assert.throws(() => devices.use([file([...items, bad, ...items.slice(0, 9)].join(''))]), { message: fault })
    assert.deepEqual(devices.declared.ids, ['before'])
  }
})
