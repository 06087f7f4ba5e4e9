import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Bench, type BenchOptions, startBroker } from '../../broker/harness.ts'
import { scratchDirectory } from '../../scratch.ts'
import { Authority, selfSigned } from '../../servers/certificate.ts'
import { simulate } from './simulate.ts'

type Scheme = 'mqtt' | 'mqtts' | 'ws' | 'wss'

const FLEET = ['--devices', '2', '--rate', '0', '--messages', '20', '--json']

/** A broker of ours that listens in every way, and the URL of each. */
async function start(t: TestContext, tls: ReturnType<typeof selfSigned>, options: BenchOptions = {}) {
  const { listeners, ...more } = options
  const bench = await startBroker(t, { listeners: { tlsPort: 0, webSocketPort: 0, tls, ...listeners }, ...more })
  const plain = await startBroker(t, { auth: 'off', listeners: { webSocketPort: 0 } })
  const url = (scheme: Scheme) => {
    const { addresses } = scheme === 'ws' ? plain.broker : bench.broker
    const { port } = addresses.find((each) => each.scheme === scheme) ?? assert.fail(scheme)
    return `${scheme}://127.0.0.1:${port}`
  }
  return { bench, plain, url }
}

const devicesOf = async ({ entries }: Bench) => [...new Set((await entries()).map(({ device }) => device))].sort()

/** The certificate and the key of each device as files, named after it. */
function issued(t: TestContext, authority: Authority, devices: readonly string[]) {
  const directory = scratchDirectory(t)
  for (const device of devices) {
    const { cert, key } = authority.issue(`/CN=${device}`)
    writeFileSync(join(directory, `${device}.pem`), cert)
    writeFileSync(join(directory, `${device}.key`), key)
  }
  return ['--cert', join(directory, '{device}.pem'), '--key', join(directory, '{device}.key')]
}

test('a fleet runs over TLS, over WebSocket, and over both', async (t) => {
  const files = selfSigned(t)
  const { bench, plain, url } = await start(t, files, { auth: 'off' })
  for (const scheme of ['mqtts', 'ws', 'wss'] as const) {
    const mqtt = scheme === 'wss' ? '5' : '3.1.1'
    const args = ['--url', url(scheme), '--mqtt', mqtt, '--prefix', `${scheme}-`, ...FLEET]
    const { status, output, errors } = await simulate([...args, ...(scheme === 'ws' ? [] : ['--ca', files.cert])])
    assert.equal(status, 0, `${scheme}: ${errors}`)
    assert.equal(JSON.parse(output).acknowledged, 20)
  }
  assert.deepEqual(await devicesOf(plain), ['ws-1', 'ws-2'])
  assert.deepEqual(await devicesOf(bench), ['mqtts-1', 'mqtts-2', 'wss-1', 'wss-2'])
})

test('with {device} in --cert and --key each device shows its own certificate, which is who it is', async (t) => {
  const authority = new Authority(t)
  const files = selfSigned(t)
  const tls = { ...files, ca: authority.cert }
  const { bench, url } = await start(t, tls, { listeners: { byCertificate: true } })
  const own = issued(t, authority, ['sim-1', 'sim-2'])
  for (const scheme of ['mqtts', 'wss'] as const) {
    const { status, errors } = await simulate(['--url', url(scheme), '--ca', files.cert, ...own, ...FLEET])
    assert.equal(status, 0, `${scheme}: ${errors}`)
  }
  assert.deepEqual(await devicesOf(bench), ['sim-1', 'sim-2'])
  assert.equal((await bench.entries()).length, 40)
})

test('one certificate of all is not who each is: the broker refuses the others', async (t) => {
  const authority = new Authority(t)
  const files = selfSigned(t)
  const { url } = await start(t, { ...files, ca: authority.cert } as typeof files, {
    listeners: { byCertificate: true },
  })
  const shared = issued(t, authority, ['sim-1']).map((each) => each.replace('{device}', 'sim-1'))
  const { status, errors } = await simulate(['--url', url('mqtts'), '--ca', files.cert, ...shared, ...FLEET])
  assert.equal(status, 1)
  assert.match(errors, /^error: sim-2 was refused by mqtts:/)
})

test('the certificate of a device that is missing is named before anything connects', async (t) => {
  const authority = new Authority(t)
  const files = selfSigned(t)
  const own = issued(t, authority, ['sim-1'])
  // Nobody is there, which would be told if it were tried.
  const out = join(scratchDirectory(t), 'run')
  const args = ['--url', 'mqtts://127.0.0.1:1', '--ca', files.cert, ...own, ...FLEET, '--out', out]
  const { status, output, errors } = await simulate(args)
  assert.deepEqual([status, output], [2, ''])
  assert.match(errors, /^error: --cert of sim-2 is .*sim-2\.pem, which cannot be read: ENOENT.*\n$/)
  const all = await simulate(['--ca', join(out, 'none.pem'), ...FLEET])
  assert.equal(all.status, 2)
  assert.match(all.errors, /^error: --ca is .*none\.pem, which cannot be read: ENOENT.*\n$/)
  const half = await simulate(['--cert', files.cert, ...FLEET])
  assert.deepEqual([half.status, half.errors], [2, 'error: --cert and --key belong together\n'])
  assert.equal(existsSync(join(out, 'summary.json')), false)
})

/** What it says. */
async function fails(args: readonly string[]): Promise<string> {
  const { status, errors } = await simulate([...FLEET, ...args])
  assert.equal(status, 1)
  return errors
}

test('a certificate that is not trusted, or is of another name, is told as what it is', async (t) => {
  const { url } = await start(t, selfSigned(t), { auth: 'off' })
  const other = selfSigned(t).cert
  for (const scheme of ['mqtts', 'wss'] as const) {
    const errors = await fails(['--url', url(scheme), '--ca', other])
    assert.match(
      errors,
      /could not connect to .* \(.*certificate.*\): it is up, and its certificate is not trusted: --ca /,
    )
  }
  const authority = new Authority(t)
  const elsewhere = issued(t, authority, ['elsewhere']).map((each) => each.replace('{device}', 'elsewhere'))
  const named = await start(t, { cert: elsewhere[1] ?? '', key: elsewhere[3] ?? '' }, { auth: 'off' })
  const errors = await fails(['--url', named.url('mqtts'), '--ca', authority.cert])
  assert.match(errors, /it is up, and its certificate is of another name than the one in --url/)
})

test('devices whose certificates the broker does not take, and a port that does not speak TLS, are told as that', async (t) => {
  const files = selfSigned(t)
  const tls = { ...files, ca: new Authority(t).cert }
  const { bench, url } = await start(t, tls, { listeners: { byCertificate: true } })
  const foreign = issued(t, new Authority(t), ['sim-1', 'sim-2'])
  const hint = /somebody is there: is it the port for TLS, and is taken what the devices show/
  for (const scheme of ['mqtts', 'wss'] as const) {
    assert.match(await fails(['--url', url(scheme), '--ca', files.cert, ...foreign]), hint)
  }
  assert.match(await fails(['--url', `mqtts://127.0.0.1:${bench.port}`, '--ca', files.cert]), hint)
})
