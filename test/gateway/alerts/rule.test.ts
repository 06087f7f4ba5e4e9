import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Rules } from '../../../gateway/alerts/rules.ts'
import { DeviceFiles } from '../../../identity/device-files.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'

const TO = 'to: [ http://127.0.0.1:9000/hook ]'

function read(...texts: readonly string[]): Rules {
  const rules = new Rules()
  rules.use(texts.map((text, index) => ({ file: `rules/${'abc'[index]}.yaml`, text })))
  return rules
}

test('each condition is read, and a rule is called as its file unless it has a name', () => {
  const rules = read(
    `silent: { devices: devices/truck-+, for: 5m }\n${TO}`,
    `- name: whole
  completeness: { devices: devices/+, below: 95%, over: 2h }
  to: [ { ntfy: https://ntfy.sh/yard-17, token: tk_1 } ]
- name: dead
  dead: { devices: devices/+, above: 10, over: 10m, code: malformed-avro }
  to: [ { alertmanager: "http://127.0.0.1:9093/" } ]
- name: hot
  above: { devices: devices/+, field: environment.temperature, value: 60, until: 55, for: 1m }
  to: [ { webhook: "https://example.com/a" } ]
- name: flat
  below: { devices: devices/a, field: environment.battery, value: 10 }
  to: http://127.0.0.1:1/
- name: yard
  silent: { site: depot 4, labels: { fleet: north, axles: 3 }, for: 1m }
  to: http://127.0.0.1:1/
- name: late
  lag: { above: 60s }
  ${TO}
`,
  )
  assert.deepEqual(
    rules.all.map(({ name, condition }) => [name, condition]),
    [
      ['a', { kind: 'silent', devices: { pattern: 'truck-*' }, forMs: 300_000 }],
      ['whole', { kind: 'completeness', devices: { pattern: '*' }, below: 0.95, overHours: 2 }],
      ['dead', { kind: 'dead', devices: { pattern: '*' }, above: 10, overMs: 600_000, code: 'malformed-avro' }],
      [
        'hot',
        {
          kind: 'above',
          devices: { pattern: '*' },
          stream: 'environment',
          column: 'temperature',
          value: 60,
          until: 55,
          forMs: 60_000,
        },
      ],
      [
        'flat',
        {
          kind: 'below',
          devices: { pattern: 'a' },
          stream: 'environment',
          column: 'battery',
          value: 10,
          until: 10,
          forMs: 0,
        },
      ],
      [
        'yard',
        {
          kind: 'silent',
          devices: { pattern: '*', place: { site: 'depot 4', labels: { fleet: 'north', axles: '3' } } },
          forMs: 60_000,
        },
      ],
      ['late', { kind: 'lag', aboveMs: 60_000 }],
    ],
  )
  assert.deepEqual(rules.all[1]?.to, [{ kind: 'ntfy', url: 'https://ntfy.sh/yard-17', token: 'tk_1' }])
})

test('what cannot be used is refused with file, line, and what is right', () => {
  const silent = 'silent: { devices: devices/+, for: 5m }'
  const faults: readonly (readonly [text: string, fault: RegExp])[] = [
    [TO, /^rules\/a.yaml:1: it has no condition; right is one of silent, completeness, dead, above, below, lag$/],
    [silent, /:1: it has no to, so nobody is told/],
    [`${silent}\nlag: { above: 60s }\n${TO}`, /:2: silent and lag are two conditions/],
    [`${silent}\nto: []`, /:2: to is an empty list/],
    [`${silent}\nto: [ ftp://a/b ]`, /:2: webhook is "ftp:\/\/a\/b"; right is an http or https URL/],
    [
      `${silent}\nto: [ "http://a:b@c/" ]`,
      /:2: the URL has a name and a password in it; right is \{ webhook: http:\/\/c/,
    ],
    [`${silent}\nto: [ { ntfy: "https://ntfy.sh/" } ]`, /:2: ntfy is .* right is the URL of a topic/],
    [
      `${silent}\nto: [ { mail: a } ]`,
      /:2: "mail" is nothing that a target has; there are webhook, ntfy, alertmanager/,
    ],
    [`${silent}\nto: [ { token: a } ]`, /:2: a target is a URL, or one of webhook, ntfy/],
    [`silent: { devices: trucks, for: 5m }\n${TO}`, /:1: devices is "trucks"; right is devices\/truck-7/],
    [`silent:\n  devices: devices/+\n  for: 5\n${TO}`, /:3: for is 5; text is right/],
    [
      `silent: { devices: devices/+, for: 1s }\n${TO}`,
      /:1: for is "1s"; right is a time such as 30s, 5m or 2h, 5s to 30d/,
    ],
    [`silent: { devices: devices/+ }\n${TO}`, /:1: silent has no for/],
    [`completeness: { devices: devices/+, below: 95 }\n${TO}`, /:1: below is 95; right is a share .* 95%/],
    [`completeness: { devices: devices/+, below: 95%, over: 90m }\n${TO}`, /:1: over is "90m"; right is whole hours/],
    [`dead: { devices: devices/+, above: -1, over: 5m }\n${TO}`, /:1: above is -1; right is a whole number/],
    [`dead: { devices: devices/+, above: 1, over: 5m, code: bad }\n${TO}`, /:1: code is "bad"; right is empty or/],
    [
      `above: { devices: devices/+, field: temperature, value: 1 }\n${TO}`,
      /:1: field is "temperature"; right is a stream and/,
    ],
    [`above: { devices: devices/+, field: a.b, value: 1, until: 2 }\n${TO}`, /:1: until is 2; right is at most 1/],
    [`below: { devices: devices/+, field: a.b, value: 1, until: 0 }\n${TO}`, /:1: until is 0; right is at least 1/],
    [`silent: { for: 5m }\n${TO}`, /:1: it says of no devices; right is devices, site or labels$/],
    [`silent:\n  site: [a]\n  for: 5m\n${TO}`, /:2: site is a list; text is right/],
    [`silent:\n  labels: fleet:north\n  for: 5m\n${TO}`, /:2: labels is "fleet:north"; a map is right/],
    [`silent:\n  labels: {}\n  for: 5m\n${TO}`, /:2: labels is empty; right is a name and its value/],
    [`silent:\n  for: 5m\n  labels:\n    9: x\n${TO}`, /:4: "9" is no name of a label/],
    [
      `silent:\n  for: 5m\n  label: x\n${TO}`,
      /:3: "label" is nothing that silent has; there are for, devices, site, labels/,
    ],
    [`lag: { above: 60s, site: a }\n${TO}`, /:1: "site" is nothing that lag has; there are above/],
    [`lag: { above: 60 }\n${TO}`, /:1: above is 60; text is right/],
    [`name: "a b"\n${silent}\n${TO}`, /:1: name is "a b"; right is 1 to 64 of/],
    [`- ${silent}\n  ${TO}\n- ${silent}\n  ${TO}`, /:1: it has no name; of several rules in a file each needs one/],
    [`${silent}\nwhen: now\n${TO}`, /:2: "when" is nothing that a rule has/],
  ]
  for (const [text, fault] of faults) assert.throws(() => read(text), { code: 'bad-config', message: fault }, text)
  assert.throws(() => read(`name: x\n${silent}\n${TO}`, `name: x\n${silent}\n${TO}`), {
    message: /^rules\/b.yaml:1: a rule x is in rules\/a.yaml:1 already/,
  })
})

test('rules of before stay where others cannot be used, and who follows them is told of changes', () => {
  const rules = read(`silent: { devices: devices/+, for: 5m }\n${TO}`)
  let changes = 0
  const stop = rules.onChange(() => changes++)
  assert.throws(() => rules.use([{ file: 'x.yaml', text: TO }]))
  assert.deepEqual([rules.all.length, changes], [1, 0])
  rules.use([])
  stop()
  rules.use([])
  assert.deepEqual([rules.all.length, changes], [0, 1])
})

test('a field that no stream has is told, with those there are', () => {
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  const { declared } = new DeviceFiles()
  const above = (field: string) => `above: { devices: devices/+, field: ${field}, value: 1 }\n${TO}`
  assert.deepEqual(
    read(above('environment.temperature'), above('environment.temp'), above('none.a')).remarks(registry, declared),
    [
      'rules/b.yaml:1: environment has no number temp now; there are temperature, humidity, pressure, battery, rssi',
      'rules/c.yaml:1: there is no stream none now',
    ],
  )
})

test('a place where no device is now is told, and none that devices would be at which begin so', () => {
  const files = new DeviceFiles()
  files.use([
    { file: 'a.yaml', text: '- { device: a, site: depot }\n- { device: "truck-*", labels: { fleet: north } }' },
  ])
  const silent = (place: string) => `silent: { ${place}, for: 1m }\n${TO}`
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  assert.deepEqual(
    read(silent('site: depot'), silent('labels: { fleet: north }'), silent('site: yard, labels: { fleet: 1 }')).remarks(
      registry,
      files.declared,
    ),
    ['rules/c.yaml:1: no device has the site yard and the label fleet: 1 in config/devices now'],
  )
})
