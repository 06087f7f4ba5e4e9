/**
 * Owns the health check of a container: asks the URL given and exits 0 when it answers 200, else 1 with one line saying
 * what it got. In Node, since the slim image has no curl; without TypeScript, since it runs four times a minute.
 *
 * A certificate is not checked: this asks its own container on loopback whether it answers, not who it is.
 * Bound: `TIMEOUT_MS`.
 */

import { get } from 'node:http'
import { get as getSecure } from 'node:https'

const TIMEOUT_MS = 4_000

const url = new URL(process.argv[2] ?? 'http://127.0.0.1:8080/healthz')
const fail = (reason) => {
  console.error(`${url}: ${reason}`)
  process.exit(1)
}

const ask = url.protocol === 'https:' ? getSecure : get
ask(url, { rejectUnauthorized: false, timeout: TIMEOUT_MS }, ({ statusCode }) => {
  if (statusCode === 200) process.exit(0)
  fail(`answered ${statusCode}, expected 200`)
})
  .on('timeout', () => fail(`no answer within ${TIMEOUT_MS} ms`))
  .on('error', (error) => fail(error.message))
