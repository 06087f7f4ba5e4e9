/** A real Kafka that asks who comes is spoken to by TLS and by SASL; who is not let in is told so. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { type KafkaSecurity, parseKafkaAddress, SASL_MECHANISMS } from '../../../log/kafka/address.ts'
import { KafkaStreams } from '../../../log/kafka/kafka-streams.ts'
import { initKafka } from '../../../log/kafka/topics.ts'
import { KAFKA_USER, startKafka } from '../../kafka/kafka.ts'
import { scratchDirectory } from '../../scratch.ts'
import { Authority, selfSigned } from '../../servers/certificate.ts'
import { readAll, record, valuesOf } from '../streams/streams-contract.ts'
import { sharedKafka } from './shared-kafka.ts'

const UNREACHABLE = { name: 'LogError', code: 'log-unreachable' }

const server = selfSigned({ after } as TestContext)
const fleet = new Authority({ after } as TestContext)
const kafka = sharedKafka({ before, after }, () => {
  const [cert, key] = [readFileSync(server.cert, 'utf8'), readFileSync(server.key, 'utf8')]
  return startKafka({ secured: { cert, key, ca: readFileSync(fleet.cert, 'utf8') } })
})

type Listener = 'sasl' | 'tls' | 'saslTls'

/** The address of a log that is not there yet, by this listener. */
function addressAt(t: TestContext, listener: Listener, host = '127.0.0.1'): string | undefined {
  const [name, node] = [kafka.newAddress(t)?.split('/').at(-1), kafka.of(t)?.nodes[0]]
  return node && `kafka://${host}:${node.ports[listener]}/${name}`
}

async function appendAndRead(t: TestContext, address: string, security: KafkaSecurity): Promise<void> {
  const options = parseKafkaAddress(address, security)
  await initKafka(options, { shards: 1, copies: 1 })
  const streams = new KafkaStreams(options)
  t.after(() => streams.stop())
  await streams.start()
  await streams.stream('log', 0).append([record('let in')])
  assert.deepEqual(valuesOf(await readAll(streams.stream('log', 0))), ['let in'])
}

async function refused(address: string, security: KafkaSecurity, message: RegExp): Promise<void> {
  const streams = new KafkaStreams(parseKafkaAddress(address, security))
  await assert.rejects(streams.start(), { ...UNREACHABLE, message })
  await streams.stop()
}

for (const mechanism of SASL_MECHANISMS) {
  test(`${mechanism} lets in who has the password, and nobody else`, async (t) => {
    const address = addressAt(t, 'sasl')
    if (address === undefined) return
    await appendAndRead(t, address, { sasl: { mechanism, ...KAFKA_USER } })
    await refused(address, { sasl: { mechanism, ...KAFKA_USER, password: 'another' } }, /[Aa]uthentication failed/)
  })
}

test('TLS is used with a certificate of our own where Kafka asks for one', async (t) => {
  const address = addressAt(t, 'tls')
  if (address === undefined) return
  const directory = scratchDirectory(t)
  const { cert, key } = fleet.issue('/CN=telltale')
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key)
  await appendAndRead(t, address, { tls: { caFile: server.cert, certFile, keyFile } })
  await refused(address, { tls: { certFile, keyFile } }, /self[- ]signed certificate/)
})

test('TLS and SASL go together', async (t) => {
  const address = addressAt(t, 'saslTls')
  if (address === undefined) return
  const sasl = { mechanism: 'scram-sha-512', ...KAFKA_USER }
  await appendAndRead(t, address, { tls: { caFile: server.cert }, sasl })
})
