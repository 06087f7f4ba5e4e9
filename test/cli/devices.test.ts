import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { decodeJwt } from 'jose'
import { openLocal } from '../log/local/open-local.ts'
import { scratchDirectory } from '../scratch.ts'
import { telltale } from './telltale.ts'

const PASSWORD = `scrypt$2$1$1$${'A'.repeat(11)}$${'A'.repeat(22)}`

function installation(t: TestContext) {
  const directory = scratchDirectory(t)
  const folder = join(directory, 'config', 'devices')
  mkdirSync(folder, { recursive: true })
  // Ports on which nobody answers.
  const config = { TELLTALE_CONFIG_DIR: join(directory, 'config'), TELLTALE_GATEWAY_PORT: '9', TELLTALE_MQTT_PORT: '9' }
  return {
    directory,
    folder,
    write: (text: string, name = 'fleet.yaml') => writeFileSync(join(folder, name), text),
    run: (...args: string[]) => telltale(directory, ['devices', ...args], config),
  }
}

test('apply says what the files have changed, and prints a token for each new device without a password', async (t) => {
  const { directory, folder, write, run } = installation(t)
  write(`
    - { device: truck-1, site: depot, labels: { fleet: north }, interval: 10s }
    - { devices: [truck-2, truck-3] }
    - { user: kitchen, password: "${PASSWORD}", device: plug-1 }`)
  const dry = await run('apply', '--dry-run')
  assert.deepEqual(dry, {
    code: 0,
    stdout: 'new plug-1\nnew truck-1\nnew truck-2\nnew truck-3\n4 new, 0 changed, 0 gone, 0 as they were\n',
    stderr: '',
  })
  const first = await run('apply', '--ttl', '1h')
  assert.equal(first.code, 0)
  assert.match(first.stderr, /4 new, 0 changed/)
  const tokens = first.stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' '))
  assert.deepEqual(
    tokens.map(([device, token = '']) => [device, decodeJwt(token).sub]),
    ['truck-1', 'truck-2', 'truck-3'].map((device) => [device, device]),
  )
  const { iat = 0, exp = 0 } = decodeJwt(tokens[0]?.[1] ?? '')
  assert.equal(exp - iat, 3_600)

  write('- { device: truck-1, labels: { fleet: south }, interval: 1m }\n- { devices: [truck-2, truck-4] }')
  const changed =
    'changed truck-1: site depot -> -, labels fleet:north -> fleet:south, interval 10s -> 1m\n' +
    'new truck-4\n' +
    'gone plug-1; its tokens are good as they were: `telltale token revoke plug-1` ends them\n' +
    'gone truck-3; its tokens are good as they were: `telltale token revoke truck-3` ends them\n' +
    '1 new, 1 changed, 2 gone, 1 as they were\n'
  assert.equal((await run('apply', '--dry-run')).stdout, changed)
  const second = await run('apply')
  assert.equal(second.stderr, changed)
  assert.match(second.stdout, /^truck-4 \S+\n$/)
  assert.deepEqual(await run('apply'), {
    code: 0,
    stdout: '',
    stderr: '0 new, 0 changed, 0 gone, 3 as they were\n',
  })

  const elsewhere = join(directory, 'elsewhere')
  mkdirSync(elsewhere)
  writeFileSync(join(elsewhere, 'a.yaml'), 'devices: [truck-1, truck-2]\ninterval: 1m\nlabels: { fleet: south }')
  assert.match((await run('apply', '--dry-run', elsewhere)).stdout, /changed truck-2.*\n.*gone truck-4.*\n0 new, 1 ch/s)
  const refused = await run('apply', elsewhere)
  assert.deepEqual([refused.code, refused.stdout], [2, ''])
  assert.match(refused.stderr, /the platform reads .*config\/devices: put the files there/)
  assert.match((await run('apply', '--dry-run', join(directory, 'none'))).stderr, /there is no folder/)

  write('device: truck 9', 'wrong.yaml')
  const wrong = await run('apply')
  assert.deepEqual([wrong.code, wrong.stdout], [1, ''])
  assert.match(wrong.stderr, new RegExp(`^telltale: ${folder}/wrong.yaml:1: "truck 9" is no device id`))
})

test('list and show answer from the data directory where no platform runs', async (t) => {
  const { directory, write, run } = installation(t)
  const log = await openLocal(t, { directory: join(directory, 'log') })
  assert.equal((await telltale(directory, ['token', 'device', 'a'])).code, 0)
  write('- { device: truck-1, site: depot 4, labels: { fleet: north }, interval: 10s }\n- { device: truck-2 }')
  await log.presence.update('truck-2', () => ({ online: false, since: 1_763_864_000_000 }))
  const { stdout, stderr } = await run('list')
  assert.equal(stderr, '')
  assert.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
    [
      ['device', 'site', 'labels', 'state', 'cause', 'last seen'],
      ['truck-1', 'depot 4', 'fleet:north', 'offline', 'broker-down', '-'],
      ['truck-2', '-', '-', 'offline', 'broker-down', '2025-11-23T02:13:20.000Z'],
    ],
  )
  const lines = (await run('list', '--json', '--site', 'depot 4', '--label', 'fleet:north')).stdout
  assert.deepEqual(JSON.parse(lines), {
    device: 'truck-1',
    state: 'offline',
    cause: 'broker-down',
    sentence: "no device can send, truck-1 neither: the platform's broker does not run",
    site: 'depot 4',
    labels: { fleet: 'north' },
    online: false,
    intervalMs: 10_000,
    streams: [],
    last: {},
  })
  assert.equal((await run('list', '--json', '--label', 'fleet:south')).stdout, '')
  assert.equal((await run('list', '--label', 'north')).code, 2)
  const shown = (await run('show', 'truck-1')).stdout
  assert.match(shown, /^site +depot 4\nlabels +fleet:north\n/m)
  assert.match(shown, /^interval +10 s\nmessages +0 accepted, 0 stored, 0 set aside, 0 pending\n/m)
  assert.equal(JSON.parse((await run('show', 'truck-1', '--json')).stdout).intervalMs, 10_000)
  const unknown = await run('show', 'truk-1')
  assert.deepEqual([unknown.code, unknown.stdout], [1, ''])
  assert.match(unknown.stderr, /no device truk-1 has ever connected.*near to it: truck-1/)
})
