/**
 * A process of its own for the damage test, since LMDB may end it: takes a copy of a log, flips one bit after another of
 * `data.mdb`, reads what is there, and prints one line for each: the position first, then what was read and is not flagged as damaged, or the error.
 */

import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DAMAGED, readEntries } from '../../../log/entry.ts'
import { LocalLog } from '../../../log/local/local-log.ts'
import { INGEST_READER } from '../../../log/log.ts'
import { systemClock } from '../../../platform/clock.ts'
import { messageOf } from '../../../platform/errors.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { only } from '../only.ts'

const [directory = '', ...flips] = process.argv.slice(2)
const file = openSync(join(directory, 'data.mdb'), 'r+')
for (const flip of flips) {
  const [at = 0, bit = 0] = flip.split('.').map(Number)
  await print(`${flip} `)
  toggle(at, bit)
  await print(`${JSON.stringify(await look())}\n`)
  toggle(at, bit)
}
closeSync(file)

/** Resolves when it has left the process: the next look may end it. */
function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()))
}

function toggle(at: number, bit: number): void {
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, at)
  writeSync(file, Buffer.from([(byte[0] ?? 0) ^ (1 << bit)]), 0, 1, at)
}

async function look(): Promise<{ entries?: [number, string][]; balanced?: boolean; error?: string }> {
  const options = { directory, writer: false, maxBytes: 2 ** 30, retentionMs: 86_400_000 }
  const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
  try {
    await log.start()
    const entries: [number, string][] = []
    let position = await only(log).first()
    for (let batch = await only(log).read(position); batch !== undefined; batch = await only(log).read(position)) {
      for (const { offset, flags, payload } of readEntries(batch))
        if ((flags & DAMAGED) === 0) entries.push([offset, `${payload}`])
      position = batch.next
    }
    const { balanced } = await log.ledger(INGEST_READER)
    return { entries, balanced }
  } catch (error) {
    return { error: messageOf(error) }
  } finally {
    await log.stop()
  }
}
