/** Owns a log whose answers to `append` are in the test's hands, in front of a real one. */

import type { NewEntry, NewRun } from '../../log/entry.ts'
import type { Log } from '../../log/log.ts'
import type { LogError } from '../../log/log-error.ts'

/** Entries go in; each callback waits in `held` for the test to call it. */
export const holding = (held: (() => void)[]) =>
  appending((log) => (entry, onDurable) => log.append(entry, (error) => held.push(() => onDurable(error))))

/** Another `append` than the log's own, of the entries of a run too; all else is the log's. */
export const appending = (make: (log: Log) => Log['append']) => (log: Log) =>
  replacing('append', make)(replacing('appendRun', () => inEntries(make(log)))(log))

/** Another method of this name than the log's own. */
export function replacing<Name extends keyof Log>(replaced: Name, make: (log: Log) => Log[Name]) {
  return (log: Log): Log =>
    new Proxy(log, {
      get(target, name) {
        if (name === replaced) return make(target)
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
}

/** Appends the entries of a run one by one; it is durable when all are. */
function inEntries(append: Log['append']): Log['appendRun'] {
  return (run, onDurable) => {
    const entries = entriesOf(run)
    let waiting = entries.length
    let refusal: LogError | undefined
    for (const entry of entries) {
      append(entry, (error) => {
        refusal ??= error
        waiting--
        if (waiting === 0) onDurable(refusal)
      })
    }
  }
}

function entriesOf({ bytes, spans, payloadBytes: _, ...run }: NewRun): NewEntry[] {
  const entries: NewEntry[] = []
  for (let index = 0; index < spans.length; index += 2) {
    entries.push({ ...run, flags: 0, payload: bytes.subarray(spans[index], spans[index + 1]) })
  }
  return entries
}
