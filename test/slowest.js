/** Owns the last lines of a test run: which tests took longest, and how long each; and which failed. A reporter of `node --test`. */

const SHOWN = 10

/** @param {AsyncIterable<{ readonly type: string, readonly data: any }>} events */
export default async function* slowest(events) {
  /** @type {{ readonly ms: number, readonly what: string }[]} */
  const tests = []
  /** @type {string[]} */
  const failed = []
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details.type === 'suite') continue
    if (type === 'test:fail') failed.push(data.name)
    // A file is listed as a test, too, by its path.
    if (data.name === data.file) continue
    tests.push({ ms: data.details.duration_ms, what: data.name })
  }
  tests.sort((a, b) => b.ms - a.ms)
  yield `\nthe slowest of ${tests.length}, in seconds:\n`
  for (const { ms, what } of tests.slice(0, SHOWN)) yield `${(ms / 1_000).toFixed(1).padStart(7)}  ${what}\n`
  for (const name of failed) yield `FAILED  ${name}\n`
}
