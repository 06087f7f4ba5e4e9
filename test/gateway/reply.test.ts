import assert from 'node:assert/strict'
import test from 'node:test'
import { Reply } from '../../gateway/reply.ts'
import type { Exchange } from '../../gateway/server/server.ts'

test('who works for an answer is told that its peer has gone, also if that was before the work began', () => {
  let leave: () => void = () => assert.fail()
  const onGone = (gone: () => void) => {
    leave = gone
  }
  const statuses: number[] = []
  const reply = new Reply({ onGone } as Exchange, { head: false, headers: {} }, (status) => statuses.push(status))
  leave()
  let told = 0
  reply.whenGone(() => told++)
  assert.deepEqual([told, statuses], [1, [499]])
})
