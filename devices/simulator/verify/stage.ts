/**
 * Owns how the stage of a fault is known: a table from what is seen of a reading to the part of the platform that lost or changed it.
 *
 * What it rests on (ARCHITECTURE.md): the broker acknowledges what the log has on disk. Ingest and gateway read the log, each with its own
 * place in it: what one of them has right was right in the log. The trace of the gateway reads the log itself. The books count a message as
 * accepted in the transaction that appends it, and its readings when the store has said that it has them. History asks the store.
 *
 * Always true: the first row that fits is taken; the last of each kind fits everything. What nobody asked for fits no row that names it.
 */

import type { FindingCode, Stage } from '../report/summary.ts'

/** Of one reading that is wrong in the store; what was not asked is undefined. */
export interface Evidence {
  /** What is wrong with it in the answers of history. `unheld`: a message that was to be set aside is no dead letter. */
  readonly what: 'missing' | 'altered' | 'stale' | 'twice' | 'unheld'
  /** What history has when it is asked for nothing else. */
  readonly again?: 'right' | 'wrong' | undefined
  /** What the store has by its own query language. */
  readonly native?: 'right' | 'wrong' | undefined
  /** What an app got. */
  readonly live?: 'right' | 'altered' | 'missing' | undefined
  /** What the gateway knows of its message by reading the log. */
  readonly trace?: 'stored' | 'set-aside' | 'pending' | 'unknown' | undefined
  /** Whether as many messages were accepted as were acknowledged. */
  readonly accepted?: 'all' | 'fewer' | undefined
  /** Whether as many readings were written as were sent; of `unheld`, messages set aside. */
  readonly written?: 'all' | 'fewer' | undefined
  /** It was acknowledged just before the platform was away. */
  readonly beforeOutage?: boolean | undefined
  /** The acknowledgement itself said that it was dropped. */
  readonly refused?: boolean | undefined
  /** It may be of others, who have sent something since the run. */
  readonly isOthers?: true | undefined
}

interface Row {
  readonly if: Evidence
  readonly code: FindingCode
  readonly stage: Stage
  readonly because: string
}

export const STAGE_TABLE: readonly Row[] = [
  {
    if: { what: 'missing', native: 'right' },
    code: 'lost',
    stage: 'history',
    because: 'the store has it by its own query language, history does not',
  },
  {
    if: { what: 'missing', again: 'right' },
    code: 'lost',
    stage: 'history',
    because: 'it was in no page of history, and is there when it is asked for alone',
  },
  {
    if: { what: 'missing', refused: true },
    code: 'lost',
    stage: 'broker',
    because: 'its acknowledgement said that it was dropped, and it is a good message',
  },
  {
    if: { what: 'missing', trace: 'pending' },
    code: 'late',
    stage: 'ingest',
    because: 'the log has it, and ingest has not come to it yet',
  },
  {
    if: { what: 'missing', trace: 'set-aside' },
    code: 'lost',
    stage: 'dead-letters',
    because: 'it was set aside, and its dead letter is not held',
  },
  {
    if: { what: 'missing', trace: 'stored', written: 'all' },
    code: 'lost',
    stage: 'store',
    because: 'the log has it and the books count it as written, the store does not have it',
  },
  {
    if: { what: 'missing', trace: 'stored', written: 'fewer' },
    code: 'lost',
    stage: 'ingest',
    because: 'the log has it and ingest has passed it, but the books count fewer readings written than were sent',
  },
  {
    if: { what: 'missing', trace: 'stored' },
    code: 'lost',
    stage: 'ingest',
    because: 'the log has it and ingest has passed it; the store does not have it',
  },
  {
    if: { what: 'missing', trace: 'unknown', live: 'right' },
    code: 'lost',
    stage: 'log',
    because: 'an app got it live, and now it is neither in the log nor in the store',
  },
  {
    if: { what: 'missing', live: 'right', written: 'all' },
    code: 'lost',
    stage: 'store',
    because: 'an app got it live and the books count it as written, the store does not have it',
  },
  {
    if: { what: 'missing', live: 'right' },
    code: 'lost',
    stage: 'ingest',
    because: 'an app got it live, so the log had it; the store does not have it',
  },
  {
    if: { what: 'missing', trace: 'unknown', beforeOutage: true },
    code: 'lost',
    stage: 'log',
    because:
      'it was acknowledged just before the platform was away, and the log does not have it: it was not on disk yet',
  },
  {
    if: { what: 'missing', trace: 'unknown', accepted: 'all' },
    code: 'lost',
    stage: 'log',
    because: 'the books count it as accepted, the log does not have it, and no app got it',
  },
  {
    if: { what: 'missing', trace: 'unknown', accepted: 'fewer' },
    code: 'lost',
    stage: 'broker',
    because: 'it was acknowledged and never taken: the books count fewer messages accepted than were acknowledged',
  },
  {
    if: { what: 'missing', trace: 'unknown' },
    code: 'lost',
    stage: 'broker',
    because: 'it was acknowledged, and neither the log nor the store has it',
  },
  {
    if: { what: 'missing', accepted: 'fewer' },
    code: 'lost',
    stage: 'broker',
    because: 'the books count fewer messages accepted than were acknowledged',
  },
  {
    if: { what: 'missing' },
    code: 'lost',
    stage: 'ingest',
    because: 'the books have it as accepted, the store does not have it; neither the log nor an app can be asked',
  },
  {
    if: { what: 'altered', isOthers: true },
    code: 'altered',
    stage: 'store',
    because:
      'the store has it otherwise; others have sent to the platform since the run, and the store does not say when it got it: whose it is is not known',
  },
  {
    if: { what: 'altered', native: 'right' },
    code: 'altered',
    stage: 'history',
    because: 'the store has it right by its own query language, history does not',
  },
  {
    if: { what: 'altered', live: 'right' },
    code: 'altered',
    stage: 'ingest',
    because: 'an app got it right, so the log has it right; it was changed on its way to the store or in it',
  },
  {
    if: { what: 'altered', live: 'altered' },
    code: 'altered',
    stage: 'broker',
    because:
      'an app and the store both have it otherwise: it was changed before or in the log, or by the schemas that both read it with',
  },
  {
    if: { what: 'altered' },
    code: 'altered',
    stage: 'ingest',
    because: 'the store has it otherwise; whether the log has it right is not known, for no app got it',
  },
  {
    if: { what: 'stale', native: 'right' },
    code: 'out-of-order',
    stage: 'history',
    because: 'history shows what it replaced, the store itself does not',
  },
  {
    if: { what: 'stale', trace: 'unknown', live: 'missing' },
    code: 'lost',
    stage: 'broker',
    because: 'the one before it of the same time is in the store, and of it neither log nor app know',
  },
  {
    if: { what: 'stale' },
    code: 'out-of-order',
    stage: 'ingest',
    because: 'the log has it, and the store has the one before it of the same time',
  },
  {
    if: { what: 'twice', native: 'right' },
    code: 'duplicated',
    stage: 'history',
    because: 'history shows it more than once, the store itself does not',
  },
  {
    if: { what: 'twice', again: 'right' },
    code: 'duplicated',
    stage: 'history',
    because: 'it is once there when it is asked for alone, and more than once in the pages of history',
  },
  {
    if: { what: 'twice' },
    code: 'duplicated',
    stage: 'store',
    because: 'the store has several rows of one series and time',
  },
  // Of a bad message a trace may show a good one of its device, received next to it.
  {
    if: { what: 'unheld', written: 'all' },
    code: 'lost',
    stage: 'dead-letters',
    because: 'it is to be set aside; the books count it so, and its dead letter is not held',
  },
  {
    if: { what: 'unheld', trace: 'stored' },
    code: 'not-set-aside',
    stage: 'ingest',
    because: 'it cannot be read, and was passed as stored',
  },
  {
    if: { what: 'unheld', trace: 'pending' },
    code: 'late',
    stage: 'ingest',
    because: 'it is to be set aside, and ingest has not come to it yet',
  },
  {
    if: { what: 'unheld', trace: 'set-aside' },
    code: 'lost',
    stage: 'dead-letters',
    because: 'it is to be set aside, the log has it, and its dead letter is not held',
  },
  {
    if: { what: 'unheld', accepted: 'fewer' },
    code: 'lost',
    stage: 'broker',
    because: 'it is to be set aside, and was acknowledged and never taken: the books count fewer messages accepted',
  },
  {
    if: { what: 'unheld', accepted: 'all' },
    code: 'not-set-aside',
    stage: 'ingest',
    because: 'it is to be set aside; the books count it as accepted, and not as set aside',
  },
  {
    if: { what: 'unheld' },
    code: 'lost',
    stage: 'dead-letters',
    because: 'it is to be set aside, and is no dead letter',
  },
]

export function stageOf(evidence: Evidence): Omit<Row, 'if'> {
  const row = STAGE_TABLE.find((each) =>
    Object.entries(each.if).every(([name, value]) => evidence[name as keyof Evidence] === value),
  )
  if (row === undefined) throw new Error(`no row of the table fits ${JSON.stringify(evidence)}`)
  return row
}
