/** Owns the Kafka that all tests of a file use, each with topics of its own. */

import type { after, before, TestContext } from 'node:test'
import { type Kafka, startKafka } from '../../kafka/kafka.ts'
import { MissingServer, skipIfMissing } from '../../servers/server.ts'

export interface SharedKafka {
  /** Undefined, and the test skipped or failed, if it is not installed. */
  of(t: Pick<TestContext, 'skip'>): Kafka | undefined
  /** The address of a log that is not there yet; likewise. */
  newAddress(t: Pick<TestContext, 'skip'>): string | undefined
}

export function sharedKafka(
  hooks: { readonly before: typeof before; readonly after: typeof after },
  start: () => Promise<Kafka> = () => startKafka(),
): SharedKafka {
  let kafka: Kafka | undefined
  let missing: MissingServer | undefined
  let logs = 0
  hooks.before(async () => {
    try {
      kafka = await start()
    } catch (error) {
      if (!(error instanceof MissingServer)) throw error
      missing = error
    }
  })
  hooks.after(() => kafka?.stop())
  const of = (t: Pick<TestContext, 'skip'>) => (missing === undefined ? kafka : skipIfMissing(t, missing))
  return { of, newAddress: (t) => (of(t) === undefined ? undefined : `${kafka?.url}/log-${++logs}`) }
}
