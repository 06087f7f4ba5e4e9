/**
 * Counts the files of ours that one PUBLISH of QoS 1 passes on its way from the socket to the disk.
 *
 * The rule: a file is passed if V8's precise coverage saw a call of one of its functions after the client wrote the packet and
 * before LMDB's writing thread is started with the commit, and saw it for every one of the messages that were tried, one after
 * the other. So what runs by a timer is left out, as is what runs once and is remembered, and all that runs when the commit is
 * durable: the verdict, the metrics, the PUBACK. That way back is printed, too. Dead letters are not followed, for V8's answer takes
 * as long as the time between two looks for them.
 *
 * The plain case: a device that showed its token, over TCP, with no rate limit; nobody subscribes to telemetry; each message
 * comes alone in its segment. Others are connected, for a client that is alone has no share to keep to.
 */

import assert from 'node:assert/strict'
import { Session } from 'node:inspector'
import { type TestContext, test } from 'node:test'
import { open } from 'lmdb'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { type Bench, connectAs, publish, RawClient, startBroker } from './harness.ts'
import { replacing } from './held-log.ts'

const FILES_MAX = 12
/** Of them, those that are not the log's. */
const FILES_BEFORE_LOG_MAX = 6
const MESSAGES = 10
const ROOT = new URL('../../', import.meta.url).href
const HOUR_MS = 3_600_000

/** LMDB's environment, as its native part gives it to the rest. */
interface Environment {
  startWriting(...args: unknown[]): unknown
}

/** Asks V8, which answers at once. */
class Inspector {
  readonly #session = new Session()

  constructor(t: TestContext) {
    this.#session.connect()
    t.after(() => this.#session.disconnect())
    this.#ask('Profiler.enable')
    this.#ask('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** The files of ours with a function that was called since the last look. */
  passed(): Set<string> {
    const files = new Set<string>()
    for (const { url, functions } of this.#ask('Profiler.takePreciseCoverage').result) {
      const file = url.slice(ROOT.length)
      const isOurs = url.startsWith(ROOT) && !file.startsWith('test/') && !file.startsWith('node_modules/')
      if (isOurs && functions.some(({ ranges }: Called) => (ranges[0]?.count ?? 0) > 0)) files.add(file)
    }
    return files
  }

  /** All objects that there are of this prototype. */
  objectsOf(prototype: object): unknown[] {
    const shared = globalThis as { asked?: object; found?: unknown[] }
    shared.asked = prototype
    const { objectId: prototypeObjectId } = this.#ask('Runtime.evaluate', { expression: 'asked' }).result
    const { objectId } = this.#ask('Runtime.queryObjects', { prototypeObjectId }).objects
    this.#ask('Runtime.callFunctionOn', { objectId, functionDeclaration: 'function () { found = this }' })
    const found = shared.found ?? []
    delete shared.asked
    delete shared.found
    return found
  }

  // biome-ignore lint/suspicious/noExplicitAny: each method has a parameter and a result of its own.
  #ask(method: string, params?: object): any {
    let answer: unknown
    const post = this.#session.post.bind(this.#session) as unknown as Post
    post(method, params ?? {}, (error, result) => {
      assert.equal(error, null)
      answer = result
    })
    return answer
  }
}

type Called = { readonly ranges: readonly { readonly count: number }[] }
type Post = (method: string, params: object, answered: (error: Error | null, result: unknown) => void) => void

/** Calls `before` each time that LMDB's writing thread is about to be started. */
async function beforeEachWrite(t: TestContext, inspector: Inspector, before: () => void): Promise<void> {
  const other = open({ path: scratchDirectory(t) })
  const prototype = Object.getPrototypeOf((other as unknown as { env: Environment }).env) as Environment
  await other.close()
  const environments = inspector.objectsOf(prototype)
  assert(environments.length > 0)
  for (const environment of environments) {
    const value = function (this: Environment, ...args: unknown[]) {
      before()
      return prototype.startWriting.apply(this, args)
    }
    Object.defineProperty(environment, 'startWriting', { value })
  }
}

async function connect(t: TestContext, bench: Bench, device: string): Promise<RawClient> {
  const client = await RawClient.open(t, bench.port)
  client.socket.setNoDelay(true)
  const password = Buffer.from(await bench.identity.signDevice(device, HOUR_MS))
  client.send({ ...connectAs(device), cmd: 'connect', clientId: device, username: device, password })
  await client.next('connack')
  await until(() => bench.log.presence.get(device)?.online === true)
  return client
}

test(`a PUBLISH of QoS 1 passes at most ${FILES_MAX} of our files from the socket to the disk`, async (t) => {
  const bench = await startBroker(t, { through: replacing('followDeadLetters', () => nobody) })
  await connect(t, bench, 'truck-8')
  const client = await connect(t, bench, 'truck-7')
  const inspector = new Inspector(t)
  const writes: Set<string>[] = []
  await beforeEachWrite(t, inspector, () => writes.push(inspector.passed()))
  const send = async (id: number) => {
    writes.length = 0
    inspector.passed()
    client.send(publish('devices/truck-7/telemetry/environment', id))
    await client.next('puback')
    const back = inspector.passed()
    const [there] = writes
    assert(there !== undefined && writes.length === 1, 'the message is written alone')
    return { there, back }
  }
  // From the first one on, its topic is remembered.
  await send(1)
  let { there, back } = await send(2)
  for (let id = 3; id <= MESSAGES; id++) {
    const passed = await send(id)
    there = common(there, passed.there)
    back = common(back, passed.back)
  }
  t.diagnostic(`to the disk ${there.size}: ${[...there].sort().join(' ')}`)
  t.diagnostic(`and back ${back.size}: ${[...back].sort().join(' ')}`)
  assert(there.has('broker/inbound/inbound.ts') && there.has('log/local/commit.ts'))
  assert(there.size <= FILES_MAX, `${there.size} files`)
  assert([...there].filter((file) => !file.startsWith('log/')).length <= FILES_BEFORE_LOG_MAX)
})

async function* nobody() {}

const common = (before: Set<string>, now: Set<string>) => new Set([...before].filter((file) => now.has(file)))
