/** How a log on Kafka is named, and what cannot be right is said. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatKafkaAddress, parseKafkaAddress } from '../../../log/kafka/address.ts'
import { scratchDirectory } from '../../scratch.ts'

test('an address names brokers and what the topics begin with, and is written as it was read', () => {
  const { brokers, name } = parseKafkaAddress('kafka://one.example:9093,10.0.0.2,[::1]:9094/fleet.eu-1_a')
  assert.deepEqual(brokers, [
    { host: 'one.example', port: 9093 },
    { host: '10.0.0.2', port: 9092 },
    { host: '::1', port: 9094 },
  ])
  assert.equal(name, 'fleet.eu-1_a')
  assert.equal(formatKafkaAddress({ brokers, name }), 'kafka://one.example:9093,10.0.0.2:9092,[::1]:9094/fleet.eu-1_a')
})

const WRONG: Record<string, RegExp> = {
  '': /kafka:\/\/host:9092,host:9092\/name/,
  'amqp://host/name': /is not like kafka:/,
  'kafka:///name': /is not like kafka:/,
  'kafka://host': /is not like kafka:/,
  'kafka://host/a/b': /is not like kafka:/,
  'kafka://host/': /"" cannot begin the name of a topic/,
  'kafka://host/a b': /"a b" cannot begin the name of a topic/,
  [`kafka://host/${'n'.repeat(201)}`]: /1 to 200 letters/,
  'kafka://host:0/name': /"host:0" is not like host:9092/,
  'kafka://host:70000/name': /"host:70000" is not like host:9092/,
  'kafka://host:port/name': /"host:port" is not like host:9092/,
  'kafka://one,,two/name': /"" is not like host:9092/,
  'kafka://user:secret@host/name': /user and password do not belong in the address/,
}

for (const [address, message] of Object.entries(WRONG)) {
  test(`"${address.slice(0, 40)}" is no address of a log on Kafka`, () => {
    assert.throws(() => parseKafkaAddress(address), { name: 'LogError', code: 'bad-log-address', message })
  })
}

test('a password that stands in the wrong place is not told on', () => {
  assert.throws(
    () => parseKafkaAddress('kafkas://user:secret@host/name'),
    (error: Error) => !error.message.includes('secret'),
  )
})

test('TLS and SASL are taken whole, or what is missing is said', (t) => {
  const directory = scratchDirectory(t)
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const [pem, other] = [file('ca.pem', '-----BEGIN CERTIFICATE-----\n'), file('other', 'no certificate')]
  const parse = (security: Parameters<typeof parseKafkaAddress>[1]) => parseKafkaAddress('kafka://host/name', security)
  const sasl = { mechanism: 'SCRAM-SHA-256', user: 'u', password: 'p' }
  assert.deepEqual(parse({ tls: { caFile: pem }, sasl }), {
    brokers: [{ host: 'host', port: 9092 }],
    name: 'name',
    tls: { ca: '-----BEGIN CERTIFICATE-----\n' },
    sasl: { mechanism: 'scram-sha-256', user: 'u', password: 'p' },
  })
  assert.deepEqual(parse({ tls: {} }).tls, {})
  const refused = (security: Parameters<typeof parseKafkaAddress>[1], message: RegExp) =>
    assert.throws(() => parse(security), { code: 'bad-log-address', message })
  refused({ tls: { certFile: pem } }, /a certificate goes with its key/)
  refused({ tls: { keyFile: pem } }, /a certificate goes with its key/)
  refused({ tls: { caFile: join(directory, 'none') } }, /none cannot be read: ENOENT/)
  refused({ tls: { caFile: other } }, /other is not in PEM/)
  refused({ sasl: { ...sasl, mechanism: 'gssapi' } }, /"gssapi" is none of plain, scram-sha-256, scram-sha-512/)
  refused({ sasl: { ...sasl, password: '' } }, /a user goes with a password/)
})
