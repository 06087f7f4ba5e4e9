/**
 * Keeps readings in a file, each line with the cursor to go on after it: whenever and however it is stopped, it has lost nothing and
 * has nothing twice when it is started again.
 *
 *   TELLTALE_URL=http://127.0.0.1:8080 TELLTALE_TOKEN=... node keep.js readings.csv
 */

import { existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { connect } from '@telltale/client'

const [file = 'readings.csv'] = process.argv.slice(2)
const { TELLTALE_URL: url = 'http://127.0.0.1:8080', TELLTALE_TOKEN: token } = process.env

const live = connect(url, { token })
const subscription = live.subscribe('devices/+/telemetry/environment', {
  start: kept() ?? { last: '1h' },
  onGap: ({ missed, reason }) => console.error(`${missed} messages are missing (${reason})`),
  onState: (state, why) => console.error(state, why?.message ?? ''),
})

const descriptor = openSync(file, 'a')
for await (const { readings, cursor } of subscription.batches()) {
  const lines = readings.map(({ device, ts, values }) => `${device},${ts},${values.temperature}\n`)
  // One write, with the cursor as its last line: all of it is there, or it does not count.
  writeSync(descriptor, `${lines.join('')}#${cursor}\n`)
  fsyncSync(descriptor)
}

/** Where it goes on. What was written behind the last whole cursor is taken away: all, if a first write has left none. */
function kept() {
  if (!existsSync(file)) return undefined
  const text = readFileSync(file, 'utf8')
  if (text.includes('\n') && !/^[^,\n]+,\d+,/.test(text)) throw new Error(`${file} is not of this program`)
  const at = text.lastIndexOf('\n#', text.lastIndexOf('\n') - 1)
  const end = text.indexOf('\n', at + 1)
  const isWhole = at >= 0 && end >= 0
  truncateSync(file, isWhole ? Buffer.byteLength(text.slice(0, end + 1)) : 0)
  return isWhole ? { after: text.slice(at + 2, end) } : undefined
}
