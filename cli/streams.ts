/** Owns which engine of streams a log is on, as the settings say it. No other file names one. */

import { parseKafkaAddress } from '../log/kafka/address.ts'
import { KafkaStreams } from '../log/kafka/kafka-streams.ts'
import { initKafka } from '../log/kafka/topics.ts'
import { parseRabbitmqAddress } from '../log/rabbitmq/address.ts'
import { initRabbitmqStreams } from '../log/rabbitmq/init.ts'
import { RabbitmqStreams } from '../log/rabbitmq/rabbitmq-streams.ts'
import type { NewStreams, Streams } from '../log/streams/streams.ts'
import type { Settings } from '../platform/settings.ts'

export interface StreamEngine {
  readonly streams: Streams
  /** Makes what the log is kept in. Rejects with a `LogError` `log-exists` if it is there. */
  init(streams: NewStreams): Promise<void>
}

/** Undefined: the log is local. Throws a `LogError` `bad-log-address`. */
export function engineOf(settings: Settings): StreamEngine | undefined {
  if (settings.log === 'local') return undefined
  const files = filesOf(settings)
  if (settings.log.startsWith('kafka:')) {
    const { logSasl: mechanism, logUsername: user = '', logPassword: password = '' } = settings
    const isTls = settings.logTls || files !== undefined
    const options = parseKafkaAddress(settings.log, {
      ...(isTls && { tls: files ?? {} }),
      ...(mechanism !== undefined && { sasl: { mechanism, user, password } }),
    })
    return { streams: new KafkaStreams(options), init: (streams) => initKafka(options, streams) }
  }
  const options = parseRabbitmqAddress(settings.log, files)
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
