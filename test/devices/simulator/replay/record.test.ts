import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type RecordOptions, record } from '../../../../devices/simulator/replay/record.ts'
import { RecordingFile } from '../../../../devices/simulator/replay/recording-file.ts'
import { reading, ScriptedGateway } from '../../../client/scripted-gateway.ts'
import { fileSizeLimit } from '../../../file-size-limit.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { freePort } from '../../../servers/server.ts'
import { until } from '../../../until.ts'

const ANY = 'devices/+/telemetry/#'

function start(t: TestContext, url: string, more: Partial<RecordOptions> = {}) {
  const file = join(scratchDirectory(t), 'out.ndjson')
  const ending = new AbortController()
  t.after(() => ending.abort())
  const told: string[] = []
  const options = { url, filters: [ANY], file, forMs: Number.POSITIVE_INFINITY, last: undefined, ...more }
  const ended = record(options, { token: 'a.b.c', tell: (sentence) => told.push(sentence), signal: ending.signal })
  // What is awaited later must not be unhandled until then.
  ended.catch(() => undefined)
  const lines = () => readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return { file, told, ended, end: () => ending.abort(), lines }
}

test('what comes is a line each, and where something is missing a line says so', async (t) => {
  const gateway = await ScriptedGateway.start(t)
  const { ended, end, told, lines } = start(t, gateway.url)
  const app = await gateway.app()
  const command = await app.subscribe()
  assert.deepEqual([command.filter, command.start], [ANY, 'now'])
  app.readings('c1', 1, 2)
  app.send({ type: 'gap', subscription: 's1', after: 'c1', before: 'c5', reason: 'retention', missed: 4 })
  app.readings('c6', 6)
  await until(() => lines().length === 4)
  assert.deepEqual(
    lines().map((line) => JSON.parse(line)),
    [reading(1), reading(2), { gap: { reason: 'retention', missed: 4 } }, reading(6)],
  )
  end()
  const { readings, missed, gaps, bytes } = await ended
  assert.deepEqual([readings, missed, gaps, bytes], [3, 4, 1, lines().join('\n').length + 1])
  assert.deepEqual(told, ['missing here: 4 messages (retention)'])
})

test('it goes on behind what it has when the gateway was away, and ends when its time is over', async (t) => {
  const gateway = await ScriptedGateway.start(t)
  const { ended, told, lines } = start(t, gateway.url, { forMs: 60_000, last: '15m' })
  const app = await gateway.app()
  assert.deepEqual((await app.subscribe()).start, { last: '15m' })
  app.readings('c1', 1)
  await until(() => lines().length === 1)
  app.socket.terminate()
  const again = await gateway.app()
  assert.deepEqual((await again.subscribe()).start, { after: 'c1' })
  assert.match(told.join(), /^the gateway is away: /)
  const short = start(t, gateway.url, { forMs: 1 })
  await (await gateway.app()).subscribe()
  assert.deepEqual(await short.ended, { readings: 0, missed: 0, gaps: 0, bytes: 0 })
  again.readings('c2', 2)
  await until(() => lines().length === 2)
  assert.equal(await Promise.race([ended, 'goes on']), 'goes on')
})

test('against nobody it says so and leaves no file', async (t) => {
  const url = `http://127.0.0.1:${await freePort()}`
  const { ended, file } = start(t, url)
  await assert.rejects(ended, { code: 'unreachable', message: new RegExp(`^no gateway answers at ${url}: `) })
  assert(!existsSync(file))
})

test('what would not get better ends it, with what came before in the file', async (t) => {
  const gateway = await ScriptedGateway.start(t)
  const { ended, lines } = start(t, gateway.url)
  const app = await gateway.app()
  await app.subscribe()
  app.readings('c1', 1)
  await until(() => lines().length === 1)
  gateway.refuse = () => ({ status: 401, code: 'token-revoked' })
  app.socket.terminate()
  await assert.rejects(ended, { code: 'token-revoked' })
  assert.equal(lines().length, 1)
})

test('a file that is there is not written over', async (t) => {
  const file = join(scratchDirectory(t), 'there.ndjson')
  writeFileSync(file, 'mine')
  assert.throws(() => new RecordingFile(file), { code: 'bad-recording', message: /there\.ndjson: is there already/ })
  assert.throws(() => new RecordingFile(join(file, 'x')), {
    code: 'bad-recording',
    message: /cannot be written: ENOTDIR/,
  })
  assert.equal(readFileSync(file, 'utf8'), 'mine')
})

test('a full disk ends it with whole lines', (t) => {
  const limit = fileSizeLimit(t)
  if (limit === undefined) return
  const name = join(scratchDirectory(t), 'out.ndjson')
  const file = new RecordingFile(name)
  t.after(() => file.close())
  file.readings([reading(1)])
  const { bytes } = file
  limit.set(bytes + 40)
  assert.throws(() => file.readings([reading(2), reading(3)]), {
    code: 'bad-recording',
    message: /cannot be written: EFBIG/,
  })
  limit.lift()
  assert.equal(file.bytes, bytes)
  assert.equal(readFileSync(name, 'utf8'), `${JSON.stringify(reading(1))}\n`)
  file.gap('slow', 1)
  assert.equal(readFileSync(name, 'utf8').split('\n').length, 3)
})
