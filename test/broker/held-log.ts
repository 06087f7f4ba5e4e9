/** Owns a log whose answers to `append` are in the test's hands, in front of a real one. */

import type { Log } from '../../log/log.ts'

/** Entries go in; each callback waits in `held` for the test to call it. */
export const holding = (held: (() => void)[]) =>
  appending((log) => (entry, onDurable) => log.append(entry, (error) => held.push(() => onDurable(error))))

/** Another `append` than the log's own; all else is the log's. */
export function appending(make: (log: Log) => Log['append']) {
  return (log: Log): Log =>
    new Proxy(log, {
      get(target, name) {
        if (name === 'append') return make(target)
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
}
