import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratchDirectory } from '../../scratch.ts'
import { startMosquitto } from '../../servers/mosquitto.ts'
import { requireServer } from '../../servers/server.ts'
import { simulate } from './simulate.ts'

const WRONG: readonly (readonly [string, string, string])[] = [
  ['--devices', '0', 'from 1 to'],
  ['--devices', '1.5', 'whole number'],
  ['--devices', '1e3', 'whole number'],
  ['--rate', '-1', 'from 0 to'],
  ['--rate', 'fast', 'a number'],
  ['--stream', 'Environment', 'a-z'],
  ['--seed', '4294967296', '4294967295'],
  ['--duration', '60', '60s'],
  ['--duration', '0s', '60s'],
  ['--messages', '0', 'from 1'],
  ['--mqtt', '3', '3.1.1, 5'],
  ['--qos', '3', '0, 1, 2'],
  ['--batch', '10001', '10000'],
  ['--format', 'xml', 'avro, json'],
  ['--prefix', 'a/b', 'A-Z'],
  ['--url', 'http://127.0.0.1', 'mqtt://'],
  ['--max-p99', '20', '500ms'],
  ['--max-errors', 'none', 'whole number'],
]

for (const [option, value, allowed] of WRONG) {
  test(`${option} ${value} exits 2 with one line that names the option, the value and what is allowed`, async () => {
    const { status, errors, output } = await simulate([`${option}=${value}`])
    assert.equal(status, 2)
    assert.equal(output, '')
    assert.equal(errors.trim().split('\n').length, 1)
    for (const part of [option, `'${value}'`, allowed]) assert(errors.includes(part), `${errors} lacks ${part}`)
  })
}

test('an unknown stream and a credentials file without enough tokens exit 2', async (t) => {
  assert.equal((await simulate(['--stream', 'nope'])).status, 2)
  const file = join(scratchDirectory(t), 'tokens')
  writeFileSync(file, 'one\ntwo\n')
  const { status, errors } = await simulate(['--devices', '3', '--credentials', file])
  assert.equal(status, 2)
  assert(errors.includes('sim-3') && !errors.includes('two'), errors)
})

test('a run in a pipe prints plain lines and a summary, and exits 0; a missed threshold exits 1', async (t) => {
  const broker = await requireServer(t, startMosquitto)
  if (!broker) return
  const args = ['--url', broker.url, '--devices', '2', '--rate', '20', '--duration', '1200ms']
  const { status, output, tokens } = await simulate(args)
  assert.equal(status, 0)
  assert.deepEqual(tokens, ['sim-1', 'sim-2'])
  assert.match(output, /^\d+s {2}publishing {2}2\/2 online .*\n/m)
  assert.match(output, /acknowledged +\d+ messages\n/)
  assert(!output.includes('\u001b'))
  const missed = await simulate([...args.slice(0, 4), '--messages', '10', '--rate', '0', '--max-p99', '0.0001ms'])
  assert.equal(missed.status, 1)
  assert.match(missed.output, /^FAIL-IF p99>0.0001ms: IT IS SO \(/m)
})

test('against nobody it says so, and fails', async () => {
  const { status, output, errors } = await simulate(['--devices', '2'])
  assert.equal(status, 1)
  const where = 'mqtt://127.0.0.1:1 (connect ECONNREFUSED 127.0.0.1:1)'
  assert(output.includes(`cannot connect to ${where}, trying again`), output)
  assert.equal(errors, `error: 2 of 2 devices could not connect to ${where}: is it up?\n`)
})

test('of what is there and is no broker it is said so: it answers otherwise, or not at all', async (t) => {
  const wrong: readonly (readonly [string, (socket: Socket) => void, string])[] = [
    [
      'HTTP',
      (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      'something answers, but it does not speak MQTT',
    ],
    ['silence', () => {}, 'something is there, and does not answer CONNECT'],
  ]
  for (const [name, answer, why] of wrong) {
    await t.test(name, async (inner) => {
      const server = createServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', () => answer(socket))
      })
      await once(server.listen(0, '127.0.0.1'), 'listening')
      inner.after(() => server.close())
      const { port } = server.address() as AddressInfo
      const { status, errors } = await simulate(['--url', `mqtt://127.0.0.1:${port}`, '--devices', '1'])
      assert.equal(status, 1)
      assert.match(errors, new RegExp(`^error: 1 of 1 devices could not connect to \\S+ \\(${why}.*\\)\n$`))
    })
  }
})

test('the conditions of a scenario that nobody would look at are told with the file, and can be dropped', async (t) => {
  const file = join(scratchDirectory(t), 'site.yaml')
  writeFileSync(file, 'fleet: [{ devices: 1, sends: [{ stream: environment }] }]\nfail-if: [lost>0]\n')
  const kept = await simulate(['--scenario', file])
  assert.deepEqual([kept.status, kept.errors.split(' asks ')[0]], [2, `error: ${file}: fail-if: lost>0`])
  const dropped = await simulate(['--scenario', file, '--no-fail-if'])
  assert.deepEqual([dropped.status, dropped.errors.includes('could not connect')], [1, true])
})

test('a run that cannot be followed live says so in a sentence, and in its summary', async (t) => {
  const broker = await requireServer(t, startMosquitto)
  if (!broker) return
  const args = ['--url', broker.url, '--live', 'gateway', '--devices', '1', '--rate', '0', '--messages', '1']
  const { status, output, errors } = await simulate(args)
  const why = 'no live readings from http://127\\.0\\.0\\.1:1 \\(.*\\)'
  assert.equal(status, 0)
  assert.match(errors, new RegExp(`^${why}: the run goes on, and nothing is followed live\n$`))
  assert.match(output, new RegExp(`^live +not followed: ${why}$`, 'm'))
})

test('--json prints the summary alone, and a credentials file spares the installation its key', async (t) => {
  const broker = await requireServer(t, startMosquitto)
  if (!broker) return
  const file = join(scratchDirectory(t), 'tokens')
  writeFileSync(file, 'x-2 second\nx-1 first\n')
  const args = ['--url', broker.url, '--devices', '2', '--rate', '0', '--messages', '7', '--json', '--prefix', 'x-']
  const { status, output, tokens } = await simulate([...args, '--credentials', file])
  assert.equal(status, 0)
  assert.deepEqual(tokens, [])
  const summary = JSON.parse(output)
  assert.deepEqual([summary.sent, summary.acknowledged, summary.ok], [7, 7, true])
})

for (const [args, why] of [
  [['--verify', '--live', 'off'], '--verify needs --live broker'],
  [['--verify', '--ask-store'], '--ask-store: no store is asked'],
] as const) {
  test(`of another broker ${args.join(' ')} asks what cannot be`, async (t) => {
    const { status, errors } = await simulate(['--url', 'mqtt://127.0.0.1:1', '--out', scratchDirectory(t), ...args])
    assert.equal(status, 2)
    assert(errors.includes(why), errors)
  })
}
