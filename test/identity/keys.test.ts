/** Keys and revocations as files that other processes change, seen by an identity that looks at them again. */

import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { decodeJwt, decodeProtectedHeader, type JWTPayload, SignJWT } from 'jose'
import { Identity } from '../../identity/identity.ts'
import { scratchDirectory } from '../scratch.ts'

const NOW = 1_763_900_000_000
const DAY_MS = 86_400_000

async function open(t: TestContext, directory = scratchDirectory(t)) {
  const clock = { now: () => clock.time, time: NOW }
  const identity = new Identity({ directory, addedKeyTtlMaxMs: 30 * DAY_MS }, { clock })
  await identity.start()
  return { identity, clock, directory }
}

test('a new key signs, and what the old one signed stays good until that one is removed', async (t) => {
  const { identity, directory } = await open(t)
  const other = (await open(t, directory)).identity
  const old = await identity.signDevice('truck-7', DAY_MS)
  const { signing, retired } = other.files.rotate(NOW + DAY_MS)
  identity.refresh()
  const young = await identity.signDevice('truck-7', DAY_MS)
  assert.deepEqual(
    [old, young].map((token) => decodeProtectedHeader(token).kid),
    [retired.kid, signing.kid],
  )
  const [held] = [await identity.verify(old), await identity.verify(young)]
  assert.deepEqual([identity.isRevoked(held)], [false])
  other.files.remove(retired.kid)
  identity.refresh()
  assert.equal(identity.isRevoked(held), true)
  await assert.rejects(identity.verify(old), { code: 'token-invalid', message: /there is no key .* it was removed/ })
  await identity.verify(young)
  assert.throws(() => other.files.remove(signing.kid), { code: 'bad-key', message: /is the key that signs/ })
})

test('a token that names no key, as earlier versions made them, is good while its key is there', async (t) => {
  const { identity, directory } = await open(t)
  const secret = Buffer.from(readFileSync(join(directory, 'signing.key'), 'utf8').trim(), 'base64url')
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${encode({ alg: 'HS256' })}.${encode({ role: 'device', sub: 'd', aud: 'telltale', exp: NOW / 1000 + 60 })}`
  const token = `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  const { retired } = identity.files.rotate(NOW + DAY_MS)
  identity.refresh()
  const held = await identity.verify(token)
  identity.files.remove(retired.kid)
  identity.refresh()
  assert.equal(identity.isRevoked(held), true)
  await assert.rejects(identity.verify(token), { code: 'token-invalid' })
})

test('a retired key ends at its time, and is dropped', async (t) => {
  const { identity, clock, directory } = await open(t)
  const held = await identity.verify(await identity.signDevice('d', 10 * DAY_MS))
  identity.files.rotate(NOW + DAY_MS)
  identity.refresh()
  clock.time = NOW + DAY_MS - 1
  assert.equal(identity.isRevoked(held), false)
  clock.time = NOW + DAY_MS
  assert.equal(identity.isRevoked(held), true)
  identity.files.dropExpired(clock.time)
  assert.deepEqual(readdirSync(directory), ['signing.key'])
})

test('of a device all tokens from before are revoked, and a later one is good; an app by the id of its token', async (t) => {
  const { identity, clock, directory } = await open(t)
  const other = (await open(t, directory)).identity
  const device = await identity.signDevice('truck-7', DAY_MS)
  const bystander = await identity.signDevice('truck-70', DAY_MS)
  const [app, another] = [await identity.signApp(['#'], DAY_MS), await identity.signApp(['#'], DAY_MS)]
  const held = await Promise.all([device, bystander, app, another].map((token) => identity.verify(token)))
  other.revocations.add({ id: 'truck-7', before: NOW + 1000 }, NOW)
  other.revocations.add({ id: String(decodeJwt(app).jti), before: NOW + 1000 }, NOW)
  identity.refresh()
  assert.deepEqual(
    held.map((each) => identity.isRevoked(each)),
    [true, false, true, false],
  )
  await assert.rejects(identity.verify(device), { code: 'token-revoked', message: /was revoked, as one of truck-7$/ })
  clock.time = NOW + 1000
  await identity.verify(await identity.signDevice('truck-7', DAY_MS))
  // After a restart, too.
  await assert.rejects((await open(t, directory)).identity.verify(device), { code: 'token-revoked' })
})

test('a revocation is kept once an id, and for as long as a token from before can be good', async (t) => {
  const { identity, directory } = await open(t)
  const add = (before: number, now = NOW) => identity.revocations.add({ id: '..', before }, now)
  add(NOW)
  add(NOW + 2000)
  add(NOW + 1000)
  identity.refresh()
  assert.deepEqual(identity.revocations.list, [{ id: '..', before: NOW + 2000 }])
  const later = NOW + 3651 * DAY_MS
  identity.revocations.add({ id: 'x', before: later }, later)
  assert.deepEqual(readdirSync(join(directory, 'revoked')), [`x,${later / 1000}`])
  assert.throws(() => identity.revocations.add({ id: '../x', before: NOW }, NOW), { code: 'bad-device' })
})

/** A token of somebody who has a key of his own. */
function foreign(key: KeyObject, claims: JWTPayload, kid?: string): Promise<string> {
  const token = new SignJWT({ aud: 'telltale', exp: NOW / 1000 + 60, ...claims })
  return token
    .setProtectedHeader({ alg: key.asymmetricKeyType === 'ec' ? 'ES256' : 'EdDSA', ...(kid && { kid }) })
    .sign(key)
}

test('an added key names what its scope allows, for as long as is allowed, and until it is removed', async (t) => {
  const { identity, directory } = await open(t)
  const [fleet, apps] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ec', { namedCurve: 'P-256' })]
  const file = join(scratchDirectory(t), 'k.pem')
  const add = (key: KeyObject, name: string, scope: { devices: string[]; filters: string[] }) => {
    writeFileSync(file, key.export({ type: 'spki', format: 'pem' }))
    return identity.files.add(file, name, scope)
  }
  const { kid } = add(fleet.publicKey, 'fleet', { devices: ['truck-*', 'pump'], filters: [] })
  add(apps.publicKey, 'apps', { devices: [], filters: ['devices/+/telemetry/environment'] })
  identity.refresh()
  const device = (sub: string, more: JWTPayload = {}) => foreign(fleet.privateKey, { role: 'device', sub, ...more })
  for (const sub of ['truck-7', 'pump']) assert.equal((await identity.verify(await device(sub))).kind, 'device')
  await identity.verify(await foreign(fleet.privateKey, { role: 'device', sub: 'pump' }, kid))
  await identity.verify(await foreign(fleet.privateKey, { role: 'device', sub: 'pump' }, 'a name of theirs'))
  const app = (...filters: string[]) => foreign(apps.privateKey, { role: 'app', filters })
  await identity.verify(await app('devices/truck-7/telemetry/environment'))
  const wrong: [token: string, message: RegExp][] = [
    [await device('pump-2'), /names the device pump-2: allowed to its key is truck-\*, pump$/],
    [await foreign(fleet.privateKey, { role: 'app', filters: ['#'] }), /names #: allowed to its key is truck/],
    [await app('devices/+/telemetry/#'), /allowed to its key is devices\/\+\/telemetry\/environment$/],
    [await foreign(apps.privateKey, { role: 'device', sub: 'pump' }), /names the device pump/],
    [
      await foreign(apps.privateKey, {
        role: 'app',
        filters: ['devices/+/telemetry/environment'],
        scope: 'more schemas',
      }),
      /may register schemas/,
    ],
    [
      await foreign(apps.privateKey, {
        role: 'app',
        filters: ['devices/+/telemetry/environment'],
        scope: 'dead-letters',
      }),
      /may replay and purge dead letters/,
    ],
    [
      await foreign(apps.privateKey, {
        role: 'app',
        filters: ['devices/+/telemetry/environment'],
        commands: ['truck-7'],
      }),
      /may command devices/,
    ],
    [await device('pump', { exp: NOW / 1000 + 31 * 86_400 }), /good for 31 days: allowed to added keys are 30 /],
    [await device('pump', { iat: NOW / 1000 - 31 * 86_400 }), /good for 31 days/],
  ]
  for (const [token, message] of wrong) await assert.rejects(identity.verify(token), { code: 'token-invalid', message })

  const held = await identity.verify(await device('pump', { iat: NOW / 1000 }))
  assert.equal(identity.isRevoked(held), false)
  identity.revocations.add({ id: 'pump', before: NOW + 1000 }, NOW)
  identity.refresh()
  assert.equal(identity.isRevoked(held), true)
  const other = await identity.verify(await device('truck-7'))
  const narrower = readFileSync(join(directory, 'fleet.pem'), 'utf8').replace('truck-*', 'truck-8')
  writeFileSync(join(directory, 'fleet.pem'), narrower)
  identity.refresh()
  assert.equal(identity.isRevoked(other), true, 'its scope was narrowed')
  identity.files.remove('fleet')
  identity.refresh()
  await assert.rejects(identity.verify(await device('truck-8')), { code: 'token-invalid' })
})

test('a key that was put here by hand without a scope names anything, as it did', async (t) => {
  const { identity, directory } = await open(t)
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  writeFileSync(join(directory, 'fleet.pem'), publicKey.export({ type: 'spki', format: 'pem' }))
  identity.refresh()
  const held = await identity.verify(await foreign(privateKey, { role: 'device', sub: 'any' }))
  assert.equal(identity.isRevoked(held), false)
  writeFileSync(
    join(directory, 'fleet.pem'),
    `Telltale-Device: a\n${publicKey.export({ type: 'spki', format: 'pem' })}`,
  )
  assert.throws(() => identity.refresh(), {
    code: 'bad-key',
    message: /line telltale-device: allowed are Telltale-Dev/,
  })
  assert.equal(identity.isRevoked(held), false, 'what cannot be used changes nothing')
})

test('key files that others can read or write are refused, with what mends it', async (t) => {
  const { directory } = await open(t)
  const key = join(directory, 'signing.key')
  const cases: [path: string, mode: number, message: string][] = [
    [key, 0o644, `${key} can be read by others (mode 0644): chmod 600 ${key}`],
    [key, 0o620, `${key} can be written by others (mode 0620): chmod 600 ${key}`],
    [directory, 0o777, `${directory} can be written by others (mode 0777): chmod 755 ${directory}`],
  ]
  for (const [path, mode, message] of cases) {
    chmodSync(path, mode)
    await assert.rejects(open(t, directory), { code: 'bad-key', message })
    chmodSync(path, path === key ? 0o600 : 0o700)
  }
  await open(t, directory)
})

test('keys are bounded: one more is refused, and says what to do', async (t) => {
  const { identity } = await open(t)
  for (let keys = 1; keys < 32; keys++) identity.files.rotate(NOW + DAY_MS)
  assert.throws(() => identity.files.rotate(NOW + DAY_MS), { code: 'too-many', message: /telltale keys remove one$/ })
})

test('a key file that cannot be used keeps no revocation from taking effect, nor the other way round', async (t) => {
  const { identity, clock, directory } = await open(t)
  const other = (await open(t, directory)).identity
  const [device, app] = [
    await identity.verify(await identity.signDevice('truck-7', DAY_MS)),
    await identity.verify(await identity.signApp(['devices/#'], DAY_MS)),
  ]
  const { retired } = other.files.rotate(NOW + DAY_MS)
  identity.look()
  writeFileSync(join(directory, 'half.pem'), '-----BEGIN PUBLIC KEY-----')
  other.revocations.add({ id: 'truck-7', before: clock.time + 1 }, clock.time)
  identity.look()
  assert.deepEqual([identity.isRevoked(device), identity.isRevoked(app)], [true, false])

  rmSync(join(directory, 'half.pem'))
  rmSync(join(directory, 'revoked'), { recursive: true })
  writeFileSync(join(directory, 'revoked'), 'no directory')
  other.files.remove(retired.kid)
  identity.look()
  assert.deepEqual([identity.isRevoked(device), identity.isRevoked(app)], [true, true])
})
