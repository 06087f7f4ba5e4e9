/** Owns the one RabbitMQ of a test file, which is started by the first test that needs it, and logs on it that nobody has used. */

import { after, type TestContext } from 'node:test'
import { parseRabbitmqAddress, type RabbitmqOptions } from '../../../log/rabbitmq/address.ts'
import { initRabbitmqStreams } from '../../../log/rabbitmq/init.ts'
import { RabbitmqStreams } from '../../../log/rabbitmq/rabbitmq-streams.ts'
import { Rabbitmq } from '../../rabbitmq/rabbitmq.ts'
import { skipIfMissing } from '../../servers/server.ts'
import type { OpenStreams } from '../streams/streams-contract.ts'

let starting: Promise<Rabbitmq> | undefined
let logs = 0

after(async () => {
  await (await starting?.catch(() => undefined))?.stop()
})

/** Undefined, and the test skipped, if it is not installed. */
export async function sharedRabbitmq(t: TestContext): Promise<Rabbitmq | undefined> {
  starting ??= Rabbitmq.start()
  try {
    return await starting
  } catch (error) {
    return skipIfMissing(t, error)
  }
}

/** A log that was just made; likewise. */
export async function newLog(t: TestContext, shards: number): Promise<RabbitmqOptions | undefined> {
  const server = await sharedRabbitmq(t)
  if (server === undefined) return undefined
  const options = parseRabbitmqAddress(`${server.url}?name=log-${++logs}`)
  await initRabbitmqStreams(options, { shards, copies: 1 })
  return options
}

export async function openStreams(t: TestContext, shards: number): Promise<OpenStreams | undefined> {
  const options = await newLog(t, shards)
  if (options === undefined) return undefined
  const another = async () => {
    const streams = new RabbitmqStreams(options)
    t.after(() => streams.stop())
    await streams.start()
    return streams
  }
  return { streams: await another(), another }
}
