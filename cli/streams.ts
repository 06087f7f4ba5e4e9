/** Owns which engine of streams a log is on, as the settings say it. No other file names one; each is loaded when it is meant, for its client takes a second. */

import type { NewStreams, Streams } from '../log/streams/streams.ts'
import type { Settings } from '../platform/settings.ts'

export interface StreamEngine {
  readonly streams: Streams
  /** Makes what the log is kept in. Rejects with a `LogError` `log-exists` if it is there. */
  init(streams: NewStreams): Promise<void>
}

/** Undefined: the log is local. Rejects with a `LogError` `bad-log-address`. */
export async function engineOf(settings: Settings): Promise<StreamEngine | undefined> {
  if (settings.log === 'local') return undefined
  return settings.log.startsWith('kafka:') ? kafka(settings) : rabbitmq(settings)
}

async function kafka(settings: Settings): Promise<StreamEngine> {
  const { parseKafkaAddress } = await import('../log/kafka/address.ts')
  const { KafkaStreams } = await import('../log/kafka/kafka-streams.ts')
  const { initKafka } = await import('../log/kafka/topics.ts')
  const { logSasl: mechanism, logUsername: user = '', logPassword: password = '' } = settings
  const files = filesOf(settings)
  const isTls = settings.logTls || files !== undefined
  const options = parseKafkaAddress(settings.log, {
    ...(isTls && { tls: files ?? {} }),
    ...(mechanism !== undefined && { sasl: { mechanism, user, password } }),
  })
  return { streams: new KafkaStreams(options), init: (streams) => initKafka(options, streams) }
}

async function rabbitmq(settings: Settings): Promise<StreamEngine> {
  const { parseRabbitmqAddress } = await import('../log/rabbitmq/address.ts')
  const { RabbitmqStreams } = await import('../log/rabbitmq/rabbitmq-streams.ts')
  const { initRabbitmqStreams } = await import('../log/rabbitmq/init.ts')
  const options = parseRabbitmqAddress(settings.log, filesOf(settings))
  return { streams: new RabbitmqStreams(options), init: (streams) => initRabbitmqStreams(options, streams) }
}

function filesOf({ logCa, logCert, logKey }: Settings) {
  if (logCa === undefined && logCert === undefined && logKey === undefined) return undefined
  return {
    ...(logCa !== undefined && { caFile: logCa }),
    ...(logCert !== undefined && { certFile: logCert }),
    ...(logKey !== undefined && { keyFile: logKey }),
  }
}
