import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { decodeJwt, jwtVerify, SignJWT } from 'jose'
import { devicePatternOf } from '../../identity/device-filter.ts'
import { Identity } from '../../identity/identity.ts'
import { scratchDirectory } from '../scratch.ts'

const NOW = 1_763_900_000_000

const CLAIMS = { role: 'device', sub: 'd', aud: 'telltale', exp: NOW / 1000 + 60 }

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

function signed(key: Uint8Array, header: object, claims: object): string {
  const text = `${encode(header)}.${encode(claims)}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

/** The same bytes in another spelling: of 43 characters of base64url the last has two bits that say nothing. */
function otherWords(token: string): string {
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const other = token.slice(0, -1) + ALPHABET[ALPHABET.indexOf(token.at(-1) ?? '') + 1]
  const bytes = (text: string) => Buffer.from(text.split('.')[2] ?? '', 'base64url')
  assert.deepEqual(bytes(other), bytes(token))
  return other
}

async function open(t: TestContext, directory = scratchDirectory(t)) {
  const clock = { now: () => clock.time, time: NOW }
  const identity = new Identity({ directory }, { clock })
  await identity.start()
  const key = Buffer.from(readFileSync(join(directory, 'signing.key'), 'utf8').trim(), 'base64url')
  return { identity, clock, key, directory }
}

test('a token tells who holds it and until when, also after a restart', async (t) => {
  const { identity, directory } = await open(t)
  const device = await identity.signDevice('truck-7', 60_000)
  const app = await identity.signApp(['devices/+/telemetry/#'], 90_000)
  const again = (await open(t, directory)).identity
  const { proof, ...shown } = await again.verify(device)
  assert.deepEqual(shown, { kind: 'device', device: 'truck-7', expiresAt: NOW + 60_000 })
  assert.deepEqual([proof?.id, proof?.issuedAt], ['truck-7', NOW])
  const filters = ['devices/+/telemetry/#']
  const { proof: proofOfApp, ...shownByApp } = await again.verify(app)
  assert.deepEqual(shownByApp, { kind: 'app', filters, expiresAt: NOW + 90_000 })
  assert.equal(proofOfApp?.id, decodeJwt(app).jti)
})

test('an app is told which devices it may command, by ids and by beginnings of them', async (t) => {
  const { identity, key } = await open(t)
  const commands = ['truck-*', 'pump']
  const principal = await identity.verify(await identity.signApp(['#'], 60_000, { commands }))
  assert.deepEqual('commands' in principal && principal.commands, commands)
  for (const wrong of [['a/b'], ['tr*ck'], Array.from({ length: 33 }, () => 'a')]) {
    assert.throws(() => identity.signApp(['#'], 60_000, { commands: wrong }), { code: 'bad-device' })
  }
  const claims = { role: 'app', filters: ['#'], aud: 'telltale', exp: NOW / 1000 + 60 }
  for (const wrong of ['*', [], [7], {}]) {
    await assert.rejects(identity.verify(signed(key, { alg: 'HS256' }, { ...claims, commands: wrong })), {
      code: 'token-invalid',
    })
  }
  const filters = [
    'devices/truck-7',
    'devices/truck-+',
    'devices/+',
    'devices/*',
    'truck-7',
    'devices/a/b',
    'devices/+a',
    'devices/',
  ]
  assert.deepEqual(filters.map(devicePatternOf), ['truck-7', 'truck-*', '*', ...Array(5).fill(undefined)])
})

test('what an app may do besides reading is said by words of its scope, and by no others', async (t) => {
  const { identity, key } = await open(t)
  const may = async (token: string) => {
    const principal = await identity.verify(token)
    assert(principal.kind === 'app')
    return [principal.schemas ?? false, principal.deadLetters ?? false]
  }
  for (const schemas of [false, true]) {
    for (const deadLetters of [false, true]) {
      const token = await identity.signApp(['#'], 60_000, { schemas, deadLetters })
      assert.deepEqual(await may(token), [schemas, deadLetters])
    }
  }
  const claims = { role: 'app', filters: ['#'], aud: 'telltale', exp: NOW / 1000 + 60 }
  const scoped = (scope: unknown) => may(signed(key, { alg: 'HS256' }, { ...claims, scope }))
  assert.deepEqual(await scoped('other dead-letters'), [false, true])
  for (const other of ['dead-letter', 'deadletters', 'Dead-Letters', 'dead-letters-x', ['dead-letters'], true])
    assert.deepEqual(await scoped(other), [false, false], String(other))
})

test('jose finds our tokens good, and we find its', async (t) => {
  const { identity, key } = await open(t)
  const token = await identity.signDevice('truck-7', 60_000)
  const { payload } = await jwtVerify(token, key, { audience: 'telltale', currentDate: new Date(NOW) })
  assert.equal(payload.sub, 'truck-7')
  const claims = new SignJWT({ role: 'device', aud: 'telltale', sub: 'd', exp: NOW / 1000 + 5, nbf: NOW / 1000 })
  const theirs = await claims.setProtectedHeader({ alg: 'HS256' }).sign(key)
  assert.equal((await identity.verify(theirs)).kind, 'device')
})

test('a key made only now is told, and a token of another installation is guessed to be one', async (t) => {
  const { identity, directory } = await open(t)
  const other = await open(t)
  assert.deepEqual([identity.hasNewKey, (await open(t, directory)).identity.hasNewKey], [true, false])
  await assert.rejects(identity.verify(await other.identity.signDevice('d', 60_000)), {
    code: 'token-invalid',
    message: /there is no key "[0-9a-f]{12}" here: it was removed, or is another installation's$/,
  })
  const byAnEarlierVersion = signed(other.key, { alg: 'HS256' }, CLAIMS)
  await assert.rejects(identity.verify(byAnEarlierVersion), {
    code: 'token-invalid',
    message: /signature verification failed \(signed by another installation's key, or not copied as it is\?\)$/,
  })
})

test('of a token that was not copied as it is it is told what is wrong with it', async (t) => {
  const { identity } = await open(t)
  const token = await identity.signDevice('truck-7', 60_000)
  const told = (wrong: string, message: RegExp) => assert.rejects(identity.verify(wrong), { message })
  // The last letter stands for four bits, so that two of its six are nothing.
  await told(`${token.slice(0, -6)}XXXXXX`, /a part of it is no base64url: was it copied whole\?$/)
  await told(`${token.slice(0, -6)}AAAAAA`, /signature verification failed/)
  await told(token.slice(0, token.lastIndexOf('.')), /it does not have three parts$/)
  await told('secret', /it does not have three parts$/)
})

test('a token is good until its end, to the second', async (t) => {
  const { identity, clock } = await open(t)
  const token = await identity.signDevice('truck-7', 60_000)
  clock.time = NOW + 59_999
  await identity.verify(token)
  clock.time = NOW + 60_000
  await assert.rejects(identity.verify(token), { code: 'token-expired' })
})

test('what is not a token of ours is refused', async (t) => {
  const { identity, key } = await open(t)
  const sign = (header: object, claims: object, by: Uint8Array = key) => signed(by, header, claims)
  const header = { alg: 'HS256' }
  const claims = CLAIMS
  assert.equal((await identity.verify(sign(header, claims))).kind, 'device')
  const good = sign(header, claims)
  const wrong: [name: string, token: string][] = [
    ['another key', sign(header, claims, Buffer.alloc(32))],
    ['alg none', `${encode({ alg: 'none' })}.${encode(claims)}.`],
    ['alg none with a signature', sign({ alg: 'none' }, claims)],
    ['HS512', sign({ alg: 'HS512' }, claims)],
    ['no signature', good.slice(0, good.lastIndexOf('.') + 1)],
    ['half a signature', good.slice(0, -20)],
    ['four parts', `${good}.x`],
    ['an extension that is not known', sign({ ...header, crit: ['exp'] }, claims)],
    ['no extension, and yet a list of them', sign({ ...header, crit: [] }, claims)],
    ['a signature in other words', otherWords(good)],
    ['a signature with a line end', `${good}\n`],
    ['a key that is not here', sign({ ...header, kid: 'elsewhere' }, claims)],
    ['a beginning that is no time', sign(header, { ...claims, nbf: '0' })],
    ['a changed claim', good.replace(encode(claims), encode({ ...claims, sub: 'e' }))],
    ['no end', sign(header, { ...claims, exp: undefined })],
    ['another audience', sign(header, { ...claims, aud: 'elsewhere' })],
    ['not yet', sign(header, { ...claims, nbf: NOW / 1000 + 30 })],
    ['no role', sign(header, { ...claims, role: undefined })],
    ['a device without a name', sign(header, { ...claims, sub: '' })],
    ['an app without filters', sign(header, { ...claims, role: 'app' })],
    ['an app with a bad filter', sign(header, { ...claims, role: 'app', filters: ['a/#/b'] })],
    ['too long', `${good}${'A'.repeat(10_000)}`],
    ['nonsense', 'nonsense'],
  ]
  for (const [name, token] of wrong) await assert.rejects(identity.verify(token), { code: 'token-invalid' }, name)
  await assert.rejects(identity.verify(''), { code: 'token-missing' })
})

test('a key file that is no key stops the start and is named', async (t) => {
  const directory = scratchDirectory(t)
  writeFileSync(join(directory, 'signing.key'), 'short', { mode: 0o600 })
  await assert.rejects(open(t, directory), { code: 'bad-key', message: /signing\.key is no key/ })
  const other = scratchDirectory(t)
  writeFileSync(join(other, 'fleet.pem'), 'not PEM')
  await assert.rejects(open(t, other), { code: 'bad-key', message: /fleet\.pem is no public key/ })
  const third = scratchDirectory(t)
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(join(third, 'fleet.pem'), publicKey.export({ type: 'spki', format: 'pem' }))
  await assert.rejects(open(t, third), { code: 'bad-key', message: /fleet\.pem is a key of rsa: allowed are EC P-256/ })
})

test('what can be signed is checked', async (t) => {
  const { identity } = await open(t)
  await assert.rejects(async () => identity.signDevice('a/b', 1_000), { code: 'bad-device' })
  await assert.rejects(async () => identity.signApp(['a+'], 1_000), { code: 'bad-filter' })
  await assert.rejects(async () => identity.signApp([], 1_000), { code: 'bad-filter' })
})
