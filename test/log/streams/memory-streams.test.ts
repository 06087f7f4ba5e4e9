/** The engine in memory does what every engine's streams must, so what is tried on it is worth something. */

import { MemoryEngine, MemoryStreams } from './memory-streams.ts'
import { testStreams } from './streams-contract.ts'

testStreams(
  'in memory',
  async (t, shards) => {
    const engine = new MemoryEngine(shards)
    const another = async () => {
      const streams = new MemoryStreams(engine)
      await streams.start()
      t.after(() => streams.stop())
      return streams
    }
    return { streams: await another(), another }
  },
  { removes: true },
)
