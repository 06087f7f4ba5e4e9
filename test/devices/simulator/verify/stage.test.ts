/** Whose fault it is: what is seen of a message leads to one stage, and what is known for certain goes before what is only likely. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { STAGES } from '../../../../devices/simulator/report/summary.ts'
import { type Evidence, STAGE_TABLE, stageOf } from '../../../../devices/simulator/verify/stage.ts'

const NAMED: readonly (readonly [Evidence, string])[] = [
  [{ what: 'missing', native: 'right', live: 'right', trace: 'stored' }, 'lost history'],
  [{ what: 'missing', again: 'right', live: 'right', trace: 'stored' }, 'lost history'],
  [{ what: 'missing', again: 'wrong', live: 'missing', trace: 'unknown', accepted: 'fewer' }, 'lost broker'],
  [{ what: 'missing', live: 'missing', trace: 'unknown', accepted: 'fewer', beforeOutage: true }, 'lost log'],
  [{ what: 'missing', live: 'missing', trace: 'unknown', accepted: 'all' }, 'lost log'],
  [{ what: 'missing', live: 'right', trace: 'stored', written: 'all' }, 'lost store'],
  [{ what: 'missing', live: 'right', trace: 'stored', written: 'fewer' }, 'lost ingest'],
  [{ what: 'missing', live: 'right', trace: 'stored' }, 'lost ingest'],
  [{ what: 'missing', live: 'right', trace: 'pending' }, 'late ingest'],
  [{ what: 'missing', trace: 'set-aside' }, 'lost dead-letters'],
  [{ what: 'missing', refused: true, trace: 'unknown' }, 'lost broker'],
  [{ what: 'altered', live: 'right' }, 'altered ingest'],
  [{ what: 'altered', live: 'altered' }, 'altered broker'],
  [{ what: 'altered', native: 'right', live: 'right' }, 'altered history'],
  [{ what: 'stale', live: 'right', trace: 'stored' }, 'out-of-order ingest'],
  [{ what: 'stale', live: 'missing', trace: 'unknown' }, 'lost broker'],
  [{ what: 'twice', again: 'right' }, 'duplicated history'],
  [{ what: 'twice', again: 'wrong' }, 'duplicated store'],
  [{ what: 'unheld', trace: 'stored' }, 'not-set-aside ingest'],
  [{ what: 'unheld', trace: 'set-aside', written: 'all' }, 'lost dead-letters'],
  [{ what: 'unheld', accepted: 'fewer', written: 'fewer' }, 'lost broker'],
]

test('what is seen of a message leads to its stage', () => {
  for (const [evidence, told] of NAMED) {
    const { code, stage } = stageOf(evidence)
    assert.equal(`${code} ${stage}`, told, JSON.stringify(evidence))
  }
})

const of = <T>(...values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined })
const EVIDENCE = fc.record({
  what: fc.constantFrom('missing', 'altered', 'stale', 'twice', 'unheld'),
  again: of('right', 'wrong'),
  native: of('right', 'wrong'),
  live: of('right', 'altered', 'missing'),
  trace: of('stored', 'set-aside', 'pending', 'unknown'),
  accepted: of('all', 'fewer'),
  written: of('all', 'fewer'),
  beforeOutage: of(true, false),
  refused: of(true, false),
}) as fc.Arbitrary<Evidence>

test('whatever is seen, there is a stage', () => {
  fc.assert(
    fc.property(EVIDENCE, (evidence) => {
      assert(STAGES.includes(stageOf(evidence).stage))
    }),
  )
})

test('each row can be reached, and no two say the same', () => {
  for (const row of STAGE_TABLE) assert.equal(stageOf(row.if), row, JSON.stringify(row.if))
  assert.equal(new Set(STAGE_TABLE.map(({ because }) => because)).size, STAGE_TABLE.length)
})
