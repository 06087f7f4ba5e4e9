/** A log on streams of the engine in memory is a log as any other. */

import type { TestContext } from 'node:test'
import { scratchDirectory } from '../../scratch.ts'
import { testCommands } from '../command-contract.ts'
import { testLog } from '../contract.ts'
import { testDeadLetters } from '../dead-letter-contract.ts'
import { MemoryEngine, MemoryStreams } from './memory-streams.ts'
import { openOn } from './open-streams.ts'

const NAME = 'log on streams in memory'

async function open(t: TestContext) {
  const engine = new MemoryEngine(1)
  const directory = scratchDirectory(t)
  const openAgain = () => openOn(t, new MemoryStreams(engine), { directory })
  const log = await openAgain()
  return {
    log,
    setsAsideLater: true as const,
    reopen: async () => {
      await log.stop()
      return openAgain()
    },
  }
}

testLog(NAME, open)
testDeadLetters(NAME, open)
testCommands(open)
