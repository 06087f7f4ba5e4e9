/** An address of a log on RabbitMQ is understood, or it is said what would be right; a password is not repeated. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseRabbitmqAddress } from '../../../log/rabbitmq/address.ts'
import { RabbitmqStreams } from '../../../log/rabbitmq/rabbitmq-streams.ts'
import { selfSigned } from '../../servers/certificate.ts'

test('the least is a host', () => {
  assert.deepEqual(parseRabbitmqAddress('amqp://rabbit'), {
    servers: [{ host: 'rabbit', port: 5672 }],
    vhost: '/',
    user: 'guest',
    password: 'guest',
    name: 'telltale',
  })
})

test('several servers, an account, a virtual host and a name', () => {
  const options = parseRabbitmqAddress('amqp://me:a%40b:c@one:1,[::1]:2,10.0.0.3/of%2Fmine?name=fleet-1')
  assert.deepEqual(options, {
    servers: [
      { host: 'one', port: 1 },
      { host: '::1', port: 2 },
      { host: '10.0.0.3', port: 5672 },
    ],
    vhost: 'of/mine',
    user: 'me',
    password: 'a@b:c',
    name: 'fleet-1',
  })
  assert.equal(new RabbitmqStreams(options).where, 'amqp://one:1,[::1]:2,10.0.0.3:5672/of%2Fmine?name=fleet-1')
})

test('TLS has files, and a port of its own', (t) => {
  const { cert, key } = selfSigned(t)
  const options = parseRabbitmqAddress('amqps://rabbit', { caFile: cert, certFile: cert, keyFile: key })
  assert.equal(options.servers[0]?.port, 5671)
  const pem = readFileSync(cert, 'utf8')
  assert.deepEqual(options.tls, { ca: pem, cert: pem, key: readFileSync(key, 'utf8') })
  assert.deepEqual(parseRabbitmqAddress('amqps://rabbit').tls, {})
})

test('what is wrong is refused, without the password', () => {
  const wrong: [string, RegExp][] = [
    ['rabbit:5672', /is not like amqp:/],
    ['http://me:secret@rabbit', /is not like amqp:/],
    ['amqp://', /is not like amqp:/],
    ['amqp://me:secret@rabbit/a/b', /is not like amqp:/],
    ['amqp://me:secret@rabbit:99999', /"rabbit:99999" is no server/],
    ['amqp://me:secret@one,', /"" is no server/],
    ['amqp://me:%secret@rabbit', /password of the address/],
    ['amqp://rabbit?name=a/b', /"a\/b" cannot begin the name of a queue/],
    ['amqp://rabbit?nam=a', /not "nam"/],
  ]
  for (const [address, message] of wrong) {
    const isRight = (error: Error & { code?: string }) =>
      error.code === 'bad-log-address' && message.test(error.message) && !error.message.includes('secret')
    assert.throws(() => parseRabbitmqAddress(address), isRight, address)
  }
  assert.throws(() => parseRabbitmqAddress('amqp://rabbit', {}), /amqps/)
  assert.throws(() => parseRabbitmqAddress('amqps://rabbit', { certFile: '/x' }), /go together/)
  assert.throws(() => parseRabbitmqAddress('amqps://rabbit', { caFile: '/nowhere' }), /cannot be read/)
})
