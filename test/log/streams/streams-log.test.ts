/** A log on streams of the engine in memory is a log as any other. */

import type { TestContext } from 'node:test'
import { testCommands } from '../command-contract.ts'
import { testLog } from '../contract.ts'
import { testDeadLetters } from '../dead-letter-contract.ts'
import { MemoryEngine, MemoryStreams } from './memory-streams.ts'
import { openAgainOn } from './open-streams.ts'

const NAME = 'log on streams in memory'

async function open(t: TestContext) {
  const engine = new MemoryEngine(1)
  return openAgainOn(t, () => new MemoryStreams(engine))
}

testLog(NAME, open)
testDeadLetters(NAME, open)
testCommands(open)
