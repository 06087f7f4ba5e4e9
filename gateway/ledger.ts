/**
 * Owns `GET /v1/ledger`: the books of the installation, and with `?device=` those of one device.
 *
 * Counts of the whole installation are for every token; those of a device for a token whose filters select some of it.
 */

import { isDeviceId } from '../identity/topics.ts'
import { type DeadLetterBox, type DeadLetterCounts, INGEST_READER, type Ledger, type Shards } from '../log/log.ts'
import { LogError } from '../log/log-error.ts'
import type { Access } from './access.ts'
import { badParameter, Refusal } from './refusal.ts'
import type { Query } from './request.ts'

export type LedgerLog = Shards & Pick<DeadLetterBox, 'deadLetterCounts'>
/** What became of those that were set aside; not known of one device. */
type Answer = Ledger & Partial<Pick<DeadLetterCounts, 'held' | 'replayed'>>

export async function ledgerOf(log: LedgerLog, query: Query, access: Access): Promise<Answer> {
  query.allow(['device'])
  const device = query.one('device')
  if (device === undefined) {
    const [ledger, { held, replayed }] = await Promise.all([log.ledger(INGEST_READER), log.deadLetterCounts()])
    return { ...ledger, held, replayed }
  }
  if (!isDeviceId(device)) throw badParameter('device', device, 'a device id: 1 to 64 of A-Z a-z 0-9 . _ : -')
  if (!access.sees(device)) {
    throw new Refusal('forbidden', `the device ${JSON.stringify(device)} lies outside the token's filters`)
  }
  try {
    return await log.deviceLedger(INGEST_READER, device)
  } catch (error) {
    if (!(error instanceof LogError) || error.code !== 'log-busy') throw error
    throw new Refusal('too-busy', error.message, { cause: error })
  }
}
