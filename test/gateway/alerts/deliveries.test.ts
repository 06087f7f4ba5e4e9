/** What is sent to targets that fail, hang, answer late or refuse: real servers, times shortened. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { AlertBook, lineOf } from '../../../gateway/alerts/book.ts'
import { Deliveries, type PostOutcome } from '../../../gateway/alerts/deliveries.ts'
import { Rules } from '../../../gateway/alerts/rules.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { until } from '../../until.ts'
import { Receiver } from './receiver.ts'

const TIMES = { postMsMax: 300, retryFirstMs: 10, retryMsMax: 40 }
const DAY_MS = 86_400_000

function begin(t: TestContext, ...urls: readonly string[]) {
  const rules = new Rules()
  rules.use([{ file: 'hot.yaml', text: `lag: { above: 60s }\nto: [ ${urls.map((url) => `"${url}"`).join(', ')} ]` }])
  const [rule = assert.fail()] = rules.all
  const clock = {
    time: 0,
    now() {
      return this.time
    },
  }
  const outcomes: PostOutcome[] = []
  let saves = 0
  const book = new AlertBook({ clock, logger: silentLogger() })
  const save = async () => {
    saves++
  }
  const parts = { book, save, clock, random: () => 0, logger: silentLogger() }
  const deliveries = new Deliveries({ ...parts, count: (outcome) => outcomes.push(outcome) }, TIMES)
  t.after(() => deliveries.stop())
  book.onPosts = deliveries.look
  const fire = (device: string) => book.begin(rule, { device }, 1, `${device} is bad`)
  const end = (device: string) => {
    const alert = book.of(rule.name, { device })
    if (alert !== undefined) book.end(alert, 2, `${device} is good`)
  }
  return { book, rule, clock, outcomes, deliveries, fire, end, saved: () => saves }
}

test('a target that fails is tried again, with the same id, and the end of an alert waits for its beginning', async (t) => {
  const receiver = await Receiver.start(t)
  let failures = 5
  receiver.answers = (response) => {
    response.statusCode = failures-- > 0 ? 503 : 204
    response.end()
  }
  const { fire, end, book, outcomes } = begin(t, receiver.url)
  fire('a')
  end('a')
  await until(() => book.postsWaiting === 0)
  assert.deepEqual(receiver.states, [...Array(6).fill('hot a firing'), 'hot a resolved'])
  assert.equal(new Set(receiver.messages.slice(0, 6).map(({ id }) => id)).size, 1)
  assert.deepEqual(outcomes, [...Array(5).fill('failed'), 'sent', 'sent'])
})

test('a target that hangs, one that nobody listens at and one that answers late keep no other waiting', async (t) => {
  const [hangs, late, good] = [await Receiver.start(t), await Receiver.start(t), await Receiver.start(t)]
  hangs.answers = () => undefined
  late.answers = (response) => void pause(100).then(() => response.end())
  const { fire, book, deliveries } = begin(t, hangs.url, 'http://127.0.0.1:1/', late.url, good.url)
  fire('a')
  fire('b')
  await until(() => good.told.length === 2 && book.lines.size === 2)
  assert.deepEqual(late.states, ['hot a firing', 'hot b firing'])
  const problem = (url: string) => deliveries.problemOf(lineOf({ kind: 'webhook', url }))
  await until(() => problem(`${hangs.url}/`) !== undefined && problem('http://127.0.0.1:1/') !== undefined)
  assert.equal(problem(`${hangs.url}/`), 'it did not answer within 0.3 s')
  assert.match(problem('http://127.0.0.1:1/') ?? '', /ECONNREFUSED|bad port/)
  hangs.answers = (response) => response.end()
  await until(() => book.lines.size === 1)
  assert.equal(problem(`${hangs.url}/`), undefined)
})

test('what a target says is wrong with the message is given up, and a redirect is not followed', async (t) => {
  const [refuses, redirects, other] = [await Receiver.start(t), await Receiver.start(t), await Receiver.start(t)]
  refuses.answers = (response) => response.writeHead(422).end('no')
  redirects.answers = (response) => response.writeHead(307, { location: other.url }).end()
  const { fire, book, deliveries, outcomes } = begin(t, refuses.url, redirects.url)
  fire('a')
  await until(() => redirects.told.length > 2 && book.lines.size === 1)
  assert.deepEqual([refuses.told.length, other.told.length, book.lost.dropped], [1, 0, 1])
  assert(outcomes.includes('refused'))
  const problem = deliveries.problemOf(lineOf({ kind: 'webhook', url: `${redirects.url}/` }))
  assert.equal(problem, 'it answered 307, and redirects are not followed')
})

test('after a day a message is given up, and the next is tried', async (t) => {
  const receiver = await Receiver.start(t)
  receiver.answers = (response) => response.writeHead(500).end()
  const { fire, clock, book, outcomes } = begin(t, receiver.url)
  fire('a')
  await until(() => receiver.told.length > 1)
  clock.time += DAY_MS + 1
  fire('b')
  await until(() => outcomes.includes('expired'))
  receiver.answers = (response) => response.end()
  await until(() => book.postsWaiting === 0)
  assert.equal(receiver.states.at(-1), 'hot b firing')
  assert.equal(book.lost.dropped, 1)
})

test('messages beyond their bound push out the oldest, alerts beyond theirs do not begin; both are counted', async () => {
  const rules = new Rules()
  rules.use([{ file: 'hot.yaml', text: 'lag: { above: 60s }\nto: http://127.0.0.1:1/' }])
  const [rule = assert.fail()] = rules.all
  const book = new AlertBook({ clock: { now: () => 0 }, logger: silentLogger() })
  for (let device = 0; device < 10_001; device++) book.begin(rule, { device: `d-${device}` }, 0, 'bad')
  assert.deepEqual([book.firing.size, book.postsWaiting, book.lost], [10_000, 10_000, { untold: 1, dropped: 0 }])
  book.end(book.of('hot', { device: 'd-5' }) ?? assert.fail(), 1, 'good')
  assert.deepEqual([book.firing.size, book.postsWaiting, book.lost], [9_999, 10_000, { untold: 1, dropped: 1 }])
  assert.equal(book.begin(rule, { device: 'late' }, 0, 'bad'), true)
  const restored = new AlertBook({ clock: { now: () => 0 }, logger: silentLogger() })
  restored.restore(JSON.parse(JSON.stringify(book.text)))
  assert.deepEqual(restored.text, book.text)
})
