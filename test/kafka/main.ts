/** Owns `npm run test:kafka`: fetches the Kafka that the tests start, if it is not there yet. */

import { MissingServer } from '../servers/server.ts'
import { fetchKafka } from './kafka-program.ts'

try {
  fetchKafka()
} catch (error) {
  if (!(error instanceof MissingServer)) throw error
  console.error(`Kafka is left out: ${error.message}`)
  process.exitCode = 1
}
