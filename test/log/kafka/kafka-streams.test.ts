/** What every engine's streams must do, by a real Kafka; it is started once for the file. */

import { after, before } from 'node:test'
import { parseKafkaAddress } from '../../../log/kafka/address.ts'
import { KafkaStreams } from '../../../log/kafka/kafka-streams.ts'
import { initKafka } from '../../../log/kafka/topics.ts'
import { testStreams } from '../streams/streams-contract.ts'
import { sharedKafka } from './shared-kafka.ts'

const kafka = sharedKafka({ before, after })

testStreams(
  'Kafka',
  async (t, shards) => {
    const address = await kafka.newAddress(t)
    if (address === undefined) return undefined
    const options = parseKafkaAddress(address)
    await initKafka(options, { shards, copies: 1 })
    const another = async () => {
      const streams = new KafkaStreams(options)
      t.after(() => streams.stop())
      await streams.start()
      return streams
    }
    return { streams: await another(), another }
  },
  { removes: true },
)
