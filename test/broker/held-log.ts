/** Owns a log whose answers to `append` are in the test's hands, in front of a real one. */

import type { Log } from '../../log/log.ts'

/** Entries go in; each callback waits in `held` for the test to call it. */
export const holding = (held: (() => void)[]) =>
  appending((log) => (entry, onDurable) => log.append(entry, (error) => held.push(() => onDurable(error))))

/** Another `append` than the log's own; all else is the log's. */
export const appending = (make: (log: Log) => Log['append']) => replacing('append', make)

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
