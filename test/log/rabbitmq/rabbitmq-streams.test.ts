/** RabbitMQ's streams do what those of every engine must. */

import { testStreams } from '../streams/streams-contract.ts'
import { openStreams } from './shared-rabbitmq.ts'

testStreams('RabbitMQ', openStreams, { removes: false })
