/** Owns what comes from several sources, as it comes. Bound: `WAITING_MAX` wait to be taken, and of each source one more. */

import { Signal } from '../tables/signal.ts'

const WAITING_MAX = 64

/** All that each gives, in its order, until `signal` aborts or all are over. A source that fails ends them all. */
export async function* merged<Value>(
  sources: readonly ((signal: AbortSignal) => AsyncIterable<Value>)[],
  signal: AbortSignal,
): AsyncGenerator<Value> {
  const ending = new AbortController()
  const ended = AbortSignal.any([signal, ending.signal])
  const moved = new Signal()
  const waiting: Value[] = []
  let running = sources.length
  let failure: { readonly error: unknown } | undefined
  const room = async () => {
    for (let seen = moved.raised; waiting.length >= WAITING_MAX && !ended.aborted; seen = moved.raised)
      await moved.wait(seen)
  }
  const pump = async (source: (signal: AbortSignal) => AsyncIterable<Value>) => {
    try {
      for await (const value of source(ended)) {
        waiting.push(value)
        moved.raise()
        await room()
      }
    } catch (error) {
      failure ??= { error }
    }
    running--
    moved.raise()
  }
  const wake = () => moved.raise()
  ended.addEventListener('abort', wake, { once: true })
  const pumps = sources.map(pump)
  try {
    while (!signal.aborted) {
      const seen = moved.raised
      const next = waiting.splice(0)
      moved.raise()
      yield* next
      if (failure !== undefined) throw failure.error
      if (next.length === 0 && running === 0) return
      if (next.length === 0 && moved.raised === seen + 1) await moved.wait(seen + 1)
    }
  } finally {
    ending.abort()
    await Promise.all(pumps)
  }
}
