/** A log on Kafka is a log as any other; Kafka is started once for the file. */

import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { parseKafkaAddress } from '../../../log/kafka/address.ts'
import { KafkaStreams } from '../../../log/kafka/kafka-streams.ts'
import { initKafka } from '../../../log/kafka/topics.ts'
import { kafkaProgram } from '../../kafka/kafka-program.ts'
import { MissingServer, skipIfMissing } from '../../servers/server.ts'
import { testCommands } from '../command-contract.ts'
import { testLog } from '../contract.ts'
import { testDeadLetters } from '../dead-letter-contract.ts'
import { openAgainOn } from '../streams/open-streams.ts'
import { sharedKafka } from './shared-kafka.ts'

const NAME = 'log on Kafka'

try {
  kafkaProgram()
  testAll()
} catch (error) {
  if (!(error instanceof MissingServer)) throw error
  test(NAME, (t) => skipIfMissing(t, error))
}

function testAll(): void {
  const kafka = sharedKafka({ before, after })
  const open = async (t: TestContext) => {
    const address = kafka.newAddress(t)
    assert(address !== undefined)
    const options = parseKafkaAddress(address)
    await initKafka(options, { shards: 1, copies: 1 })
    return openAgainOn(t, () => new KafkaStreams(options))
  }
  testLog(NAME, open)
  testDeadLetters(NAME, open)
  testCommands(open)
}
