/** A log on RabbitMQ is a log as any other; RabbitMQ is started once for the file. */

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { RabbitmqStreams } from '../../../log/rabbitmq/rabbitmq-streams.ts'
import { PROGRAM } from '../../rabbitmq/rabbitmq.ts'
import { testCommands } from '../command-contract.ts'
import { testLog } from '../contract.ts'
import { testDeadLetters } from '../dead-letter-contract.ts'
import { openAgainOn } from '../streams/open-streams.ts'
import { newLog, sharedRabbitmq } from './shared-rabbitmq.ts'

const NAME = 'log on RabbitMQ'

if (existsSync(PROGRAM)) {
  testLog(NAME, open)
  testDeadLetters(NAME, open)
  testCommands(open)
} else test(NAME, (t) => sharedRabbitmq(t).then(() => undefined))

async function open(t: TestContext) {
  const options = await newLog(t, 1)
  assert(options !== undefined)
  return openAgainOn(t, () => new RabbitmqStreams(options))
}
