/** Lists of numbers where numbers are reduced: they have a last and a count, and no mean. */

import assert from 'node:assert/strict'
import { probe, schemaFolder } from '../../schemas/schema-folder.ts'
import { App, type Frame, NOW, onEachServer, startPlatform } from '../platform.ts'

const BURST = { name: 'burst', type: { type: 'array', items: 'float' } }
const PEAK = { name: 'peak', type: ['null', 'double'], default: null }

onEachServer('a subscription with a rate has of a list the last, the first and the count', async (t, server) => {
  const platform = await startPlatform(t, server, {
    schemasDir: schemaFolder(t, { 'probe/1.avsc': probe(BURST, PEAK) }),
  })
  const send = (index: number) => {
    const record = { ts: NOW + index, burst: [index, 0.1], peak: index }
    return platform.publish('a', 'probe', platform.registry.encode('probe', record))
  }
  await send(1)
  await send(2)
  const expected = {
    last: { burst: [2, 0.1], peak: 2 },
    first: { burst: [1, 0.1], peak: 1 },
    mean: { peak: 1.5 },
    max: { peak: 2 },
    count: { burst: 2, peak: 2 },
  }
  for (const protocol of ['telltale.v1', 'telltale.v1.protobuf']) {
    for (const [reduce, values] of Object.entries(expected)) {
      const app = await App.connect(t, platform, platform.token, protocol)
      await app.subscribe({ filter: '#', start: { last: '1h' }, maxRate: 0.001, reduce })
      const found = () =>
        app.frames.filter(({ type }) => type === 'readings').flatMap(({ readings }) => readings as Frame[])
      await app.until(() => found().length > 0, reduce)
      assert.deepEqual(found()[0]?.values, values, `${protocol} ${reduce}`)
      app.socket.terminate()
    }
  }
})

onEachServer('a mean of lists and texts alone is refused, and says what there is', async (t, server) => {
  const text = { ...probe(BURST, { name: 'note', type: 'string' }), name: 'texts' }
  const folder = { 'probe/1.avsc': probe(BURST, PEAK), 'texts/1.avsc': text }
  const platform = await startPlatform(t, server, { schemasDir: schemaFolder(t, folder) })
  const ask = async (stream: string, fn: string) => {
    const response = await platform.get(`/v1/readings?filter=devices/%2B/telemetry/${stream}&every=1m&fn=${fn}`)
    return { status: response.status, text: await response.text() }
  }
  for (const fn of ['mean', 'min', 'max']) {
    const { status, text } = await ask('texts', fn)
    assert.equal(status, 400)
    assert.match(text, /allowed is first, last or count, for no column here is of one number/)
    assert.equal((await ask('probe', fn)).status, 200)
  }
  for (const [stream, fn] of [
    ['texts', 'last'],
    ['texts', 'count'],
    ['%2B', 'mean'],
    ['nothing', 'mean'],
  ] as const) {
    assert.equal((await ask(stream, fn)).status, 200, `${stream} ${fn}`)
  }
})
