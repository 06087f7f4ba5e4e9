/** Dead letters over HTTP: pages, filters, counts, one as far as it can be read, and who may have which. */

import assert from 'node:assert/strict'
import { INGEST_READER, type NewDeadLetter } from '../../log/log.ts'
import { FOREIGN } from '../../schemas/content-type.ts'
import { foreignPayload } from '../../schemas/foreign.ts'
import { at, only } from '../log/only.ts'
import { environment, HOUR_MS, NOW, onEachServer, publish, startPlatform, type TestPlatform } from './platform.ts'

interface Listed {
  readonly id: string
  readonly device: string
  readonly topic: string
  readonly stream?: string
  readonly code: string
  readonly at: number
}

type Letter = Partial<NewDeadLetter>

/** Sets messages aside, one after another. */
async function setAside(platform: TestPlatform, ...letters: Letter[]): Promise<void> {
  const { log } = platform
  const first = await only(log).end()
  const deadLetters = letters.map((letter, index): NewDeadLetter => {
    const own = { device: 'a', stream: 'environment', code: 'empty', reason: 'so', payload: Buffer.alloc(0) }
    return { ...own, receivedAt: NOW, ...letter, offset: at(first + index) }
  })
  await Promise.all(letters.map(() => publish(log, NOW, 'a', 'environment', Buffer.alloc(0))))
  await only(log).advance(INGEST_READER, { next: at(first + letters.length), stored: 0, readings: 0, deadLetters })
}

async function asked<T>(platform: TestPlatform, path: string, token?: string): Promise<T> {
  const response = await platform.get(path, token === undefined ? {} : { token })
  const answer: unknown = await response.json()
  assert.equal(response.status, 200, JSON.stringify(answer))
  return answer as T
}

interface Refused {
  readonly status: number
  readonly code: string
  readonly message: string
}

async function refused(platform: TestPlatform, path: string, options = {}): Promise<Refused> {
  const response = await platform.get(path, options)
  const { error } = (await response.json()) as { error: { code: string; message: string } }
  return { status: response.status, ...error }
}

interface Page {
  readonly deadLetters: readonly Listed[]
  readonly next?: string
}

const idsOf = ({ deadLetters }: Page) => deadLetters.map(({ id }) => id).join()

onEachServer(
  'dead letters are listed from the newest on, page by page, by what is asked of them',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    assert.deepEqual(await asked(platform, '/v1/deadletters'), { deadLetters: [] })
    const foreign = foreignPayload('tele/a/STATE', Buffer.from('{'))
    await setAside(
      platform,
      { receivedAt: NOW - 5_000 },
      { receivedAt: NOW - 4_000, device: 'b', payload: Buffer.from('xy') },
      { receivedAt: NOW - 3_000, stream: 'power', code: 'malformed-json' },
      { receivedAt: NOW - 2_000, stream: 'plug', code: 'no-map', payload: foreign, framing: FOREIGN },
      { receivedAt: NOW - 1_000, code: 'malformed-json' },
    )
    const list = async (query: string) => idsOf(await asked<Page>(platform, `/v1/deadletters${query}`))
    const { deadLetters } = await asked<Page>(platform, '/v1/deadletters')
    const empty = { device: 'b', topic: 'devices/b/telemetry/environment', stream: 'environment', code: 'empty' }
    assert.deepEqual(deadLetters[3], { id: '2', ...empty, message: 'so', at: NOW - 4_000, bytes: 2 })
    assert.deepEqual(deadLetters.map(({ topic }) => topic)[1], 'tele/a/STATE', 'as it was published')
    assert.equal(await list(''), '5,4,3,2,1')
    assert.equal(await list('?device=a'), '5,4,3,1')
    assert.equal(await list('?device=none'), '')
    assert.equal(await list('?stream=power'), '3')
    assert.equal(await list('?code=malformed-json'), '5,3')
    assert.equal(await list('?code=malformed-json&device=a&stream=environment'), '5')
    assert.equal(await list(`?from=${NOW - 4_000}&to=${NOW - 1_000}`), '4,3,2')
    assert.equal(await list('?from=-3s&to=now'), '5,4,3')

    const pages: string[] = []
    let after = ''
    for (;;) {
      const page = await asked<Page>(platform, `/v1/deadletters?limit=2${after}`)
      pages.push(idsOf(page))
      if (page.next === undefined) break
      // What comes meanwhile is on no later page.
      await setAside(platform, {})
      after = `&after=${page.next}`
    }
    assert.deepEqual(pages, ['5,4', '3,2', '1'])
    assert.equal(await list('?limit=2'), '7,6')

    for (const wrong of ['device=a/b', 'device=', 'stream=A', 'code=x', 'from=x', 'limit=0', 'limit=1001', 'after=x']) {
      const status = (await platform.get(`/v1/deadletters?${wrong}`)).status
      assert.equal(status, wrong.endsWith('=') ? 200 : 400, wrong)
    }
    for (const wrong of ['after=-1', 'after=0', 'after=1e3', `after=${'9'.repeat(16)}`, 'code=constructor', 'id=1'])
      assert.equal((await refused(platform, `/v1/deadletters?${wrong}`)).status, 400, wrong)
  },
)

onEachServer('what is few among many is found, a bounded part of them an answer', async (t, server) => {
  const platform = await startPlatform(t, server)
  const many = Array.from({ length: 5_000 }, () => ({ device: 'b' }))
  await setAside(platform, { code: 'no-map' })
  for (let left = 11; left > 0; left--) await setAside(platform, ...many)
  const query = '/v1/deadletters?code=no-map'
  const first = await asked<Page>(platform, query)
  assert.deepEqual([first.deadLetters, first.next], [[], '5002'], 'it has looked at 50,000')
  const second = await asked<Page>(platform, `${query}&after=${first.next}`)
  assert.deepEqual([idsOf(second), second.next], ['1', undefined])
  assert.equal(idsOf(await asked<Page>(platform, `${query}&device=a`)), '1', 'of one device only its own are looked at')
  const narrow = await platform.identity.signApp(['devices/a/telemetry/environment'], HOUR_MS)
  assert.equal(idsOf(await asked<Page>(platform, '/v1/deadletters', narrow)), '1')
  const { counts } = await asked<{ counts: object[] }>(platform, '/v1/deadletters/counts')
  const lastAt = NOW
  assert.deepEqual(counts, [
    { device: 'a', code: 'no-map', count: 1, lastAt },
    { device: 'b', code: 'empty', count: 55_000, lastAt },
  ])
})

onEachServer('a token reads dead letters of the streams that its filters select, and no others', async (t, server) => {
  const platform = await startPlatform(t, server)
  await setAside(platform, {}, { stream: 'power' }, { device: 'b', stream: 'power' })
  await setAside(platform, { device: '', stream: '', code: 'log-damaged' })
  const token = (...filters: string[]) => platform.identity.signApp(filters, HOUR_MS)
  const sees: [filters: string[], ids: string, counted: string][] = [
    [['#'], '4,3,2,1', 'a,b'],
    [['devices/+/telemetry/+'], '4,3,2,1', 'a,b'],
    [['devices/a/#'], '2,1', 'a'],
    [['devices/a/telemetry/power'], '2', 'a'],
    [['devices/+/telemetry/power'], '3,2', 'a,b'],
    [['devices/b/telemetry/power', 'devices/a/telemetry/environment'], '3,1', 'a,b'],
    [['devices/+/status'], '', ''],
  ]
  for (const [filters, ids, counted] of sees) {
    const own = await token(...filters)
    assert.equal(idsOf(await asked<Page>(platform, '/v1/deadletters', own)), ids, filters.join())
    for (const id of ['1', '2', '3', '4']) {
      const { status } = await platform.get(`/v1/deadletters/${id}`, { token: own })
      assert.equal(status, ids.split(',').includes(id) ? 200 : 403, `${filters} ${id}`)
    }
    const { counts } = await asked<{ counts: { device: string }[] }>(platform, '/v1/deadletters/counts', own)
    assert.equal(counts.map(({ device }) => device).join(), counted, 'those of a device are no secret to who sees it')
  }
  const narrow = { token: await token('devices/a/telemetry/power') }
  assert.equal(idsOf(await asked<Page>(platform, '/v1/deadletters?device=a', narrow.token)), '2')
  for (const [query, message] of [
    ['device=b', /^dead letters of the device b lie outside the token's filters$/],
    ['stream=environment', /^dead letters of the stream environment lie outside/],
    ['device=b&stream=power', /^dead letters of the device b, the stream power lie outside/],
  ] as const) {
    const no = await refused(platform, `/v1/deadletters?${query}`, narrow)
    assert.deepEqual([no.status, no.code], [403, 'forbidden'], query)
    assert.match(no.message, message)
  }
  const { message } = await refused(platform, '/v1/deadletters/3', narrow)
  assert.equal(message, "the dead letter 3 lies outside the token's filters", 'it does not say whose it is')
})

interface Shown extends Listed {
  readonly setAsideAt: number
  readonly payload: string
  readonly decoded: {
    readonly framing: string
    readonly lines: readonly (readonly string[])[]
    readonly breaks?: object
    readonly now: { readonly readings?: number; readonly code?: string }
    readonly read?: { readonly fields: readonly { readonly path: string; readonly value: unknown }[] }
  }
  readonly mend?: string
}

onEachServer('one dead letter is read as far as it goes, with where it breaks and what mends it', async (t, server) => {
  const platform = await startPlatform(t, server)
  const whole = platform.registry.encode('environment', environment(NOW))
  const payloads = [
    whole.subarray(0, 18),
    Buffer.from('{"ts":}'),
    Buffer.from(JSON.stringify(environment(NOW))),
    Buffer.from('hello'),
    Buffer.alloc(0),
    Buffer.from('{"ts":"never"}'),
  ]
  const codes = ['malformed-avro', 'malformed-json', 'store-rejected', 'unknown-framing', 'empty', 'invalid-reading']
  await setAside(platform, ...payloads.map((payload, index) => ({ payload, code: codes[index] ?? '' })))
  const shown = (id: number) => asked<Shown>(platform, `/v1/deadletters/${id}`)

  const cut = await shown(1)
  assert.deepEqual([cut.id, cut.code, cut.at, cut.setAsideAt], ['1', 'malformed-avro', NOW, NOW])
  assert.deepEqual(Buffer.from(cut.payload, 'base64'), whole.subarray(0, 18))
  const { framing, breaks, read, now, lines } = cut.decoded
  assert.deepEqual([framing, read?.fields.map(({ path }) => path)], ['avro', ['ts']])
  assert.deepEqual(breaks, { at: 16, why: 'temperature needs 4 bytes, and 2 are left' })
  assert.equal(now.code, 'malformed-avro')
  assert.deepEqual(lines.at(-2), ['', 'stopped at byte 16: temperature needs 4 bytes, and 2 are left'])
  assert.match(cut.mend ?? '', /avro library/)

  const broken = (await shown(2)).decoded
  assert.match(JSON.stringify(broken.breaks), /^\{"why":"the JSON is malformed: at position 6 /)
  const good = await shown(3)
  assert.deepEqual([good.decoded.breaks, good.decoded.now], [undefined, { readings: 1 }])
  assert.match(good.mend ?? '', /the store refuses/)
  const others = [await shown(4), await shown(5), await shown(6)]
  assert.deepEqual(
    others.map(({ decoded: { framing, breaks, now } }) => [framing, breaks, now.code]),
    [
      ['unknown', undefined, 'unknown-framing'],
      ['empty', undefined, 'empty'],
      ['json', undefined, 'invalid-reading'],
    ],
  )

  for (const id of [
    '7',
    '0',
    '-1',
    '1.0',
    '01',
    '1e0',
    'x',
    '%00',
    '9'.repeat(16),
    '__proto__',
    'constructor',
    '%2e%2e',
  ]) {
    const { status, message } = await refused(platform, `/v1/deadletters/${id}`)
    assert.equal(status, 404, id)
    if (id === '7') assert.match(message, /^there is no dead letter "7": it may have been replayed or purged/)
  }
})

type May = Parameters<TestPlatform['identity']['signApp']>[2]

/** Of a token that may take dead letters out within these filters. */
async function remover(platform: TestPlatform, filters: string[], may: May = { deadLetters: true }) {
  const token = await platform.identity.signApp(filters, HOUR_MS, may)
  const ask = async (how: 'replay' | 'purge', body: object | string) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const response = await platform.get(`/v1/deadletters/${how}`, { method: 'POST', token, body: text })
    const answer = (await response.json()) as { error?: { code: string; message: string } }
    return { status: response.status, answer, code: answer.error?.code, message: answer.error?.message ?? '' }
  }
  return {
    ask,
    replay: async (body: object) => (await ask('replay', body)).answer,
    purge: async (body: object) => (await ask('purge', body)).answer,
  }
}

onEachServer(
  'dead letters are replayed and purged by id, device, code, stream and time, and nothing else is',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const { replay, purge } = await remover(platform, ['#'])
    const kept = async () => idsOf(await asked<Page>(platform, '/v1/deadletters'))
    const letters = Array.from({ length: 12 }, (_, index) => ({
      device: index % 2 === 0 ? 'a' : 'b',
      stream: index % 3 === 0 ? 'power' : 'environment',
      code: index < 6 ? 'empty' : 'malformed-json',
      receivedAt: NOW - 60_000 + index,
      payload: Buffer.from(`message ${index}`),
    }))
    await setAside(platform, ...letters)
    const before = await platform.log.ledger(INGEST_READER)
    assert.deepEqual(await replay({ ids: ['1'] }), { replayed: 1 })
    assert.deepEqual(
      await replay({ ids: ['1', '2', '2', 3, '99'] }),
      { replayed: 2 },
      'what is gone counts for nothing',
    )
    assert.deepEqual(await replay({ device: 'b', stream: 'power' }), { replayed: 2 })
    assert.equal(await kept(), '12,11,9,8,7,6,5')
    assert.deepEqual(await purge({ code: 'empty', device: 'a' }), { purged: 1 })
    assert.deepEqual(await purge({ before: NOW - 60_000 + 7 }), { purged: 2 })
    assert.deepEqual(await purge({ before: '-2m' }), { purged: 0 })
    assert.equal(await kept(), '12,11,9,8')
    assert.deepEqual(await purge({ ids: ['8', '9'] }), { purged: 2 })
    assert.deepEqual(await replay({ code: 'malformed-json' }), { replayed: 2 })
    assert.equal(await kept(), '')

    const { held, replayed, purged } = await platform.log.deadLetterCounts()
    assert.deepEqual([held, replayed, purged], [0, 7, 5])
    const after = await platform.log.ledger(INGEST_READER)
    assert.deepEqual(
      [after.accepted, after.pending, after.deadLettered, after.balanced],
      [before.accepted + 7, before.pending + 7, before.deadLettered, true],
    )
  },
)

onEachServer(
  'only a token that was made for it takes dead letters out, and only within its filters',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    await setAside(platform, {}, { stream: 'power' }, { device: 'b' }, { device: 'b', stream: 'power' })
    await setAside(platform, { device: '', stream: '', code: 'log-damaged' })
    const kept = async () => idsOf(await asked<Page>(platform, '/v1/deadletters'))
    for (const may of [{}, { schemas: true, commands: ['*'] }]) {
      const { ask } = await remover(platform, ['#'], may)
      for (const how of ['replay', 'purge'] as const) {
        const { status, code, message } = await ask(how, { ids: ['1'] })
        const right = `the token may not ${how} dead letters: \`telltale token app --filter F --dead-letters\` makes one that may`
        assert.deepEqual([status, code, message], [403, 'forbidden', right])
      }
    }
    const narrow = await remover(platform, ['devices/a/telemetry/power', 'devices/b/telemetry/environment'])
    for (const how of ['replay', 'purge'] as const) {
      for (const body of [{ ids: ['1'] }, { ids: ['2', '5'] }, { device: 'c' }, { device: 'b', stream: 'power' }]) {
        const { status, code, message } = await narrow.ask(how, body)
        assert.deepEqual([status, code], [403, 'forbidden'], JSON.stringify(body))
        assert.match(message, /`telltale token app --filter \S+ --dead-letters` makes one that may$/)
      }
    }
    assert.equal(await kept(), '5,4,3,2,1', 'nothing of what was refused was done')
    const { message } = await narrow.ask('purge', { device: 'b', stream: 'power' })
    assert.match(
      message,
      /^dead letters of the device b, the stream power lie outside .* --filter devices\/b\/telemetry\/power /,
    )

    assert.deepEqual(await narrow.purge({ device: 'a' }), { purged: 1 }, 'of the stream that it may read')
    assert.deepEqual(await narrow.replay({ before: 'now' }), { replayed: 0 })
    assert.deepEqual(await narrow.replay({ code: 'empty' }), { replayed: 1 })
    assert.equal(await kept(), '5,4,1')
    const blind = await remover(platform, ['devices/+/status'])
    assert.deepEqual(await blind.purge({ code: 'empty' }), { purged: 0 })
    assert.equal((await blind.ask('purge', { ids: ['1'] })).status, 403)
  },
)

onEachServer('what does not say which dead letters are meant is refused with what is right', async (t, server) => {
  const platform = await startPlatform(t, server)
  await setAside(platform, {})
  const { ask } = await remover(platform, ['#'])
  const bodies: [body: object | string, message: RegExp][] = [
    ['', /^the body is no JSON object: right is \{"ids": \["17", "18"\]\}, or one or more of \{"device": /],
    ['{', /^the body is no JSON object/],
    ['null', /^the body is no JSON object/],
    [[], /^the body is no JSON object/],
    ['"1"', /^the body is no JSON object/],
    [{}, /^the body does not say which dead letters are meant/],
    [{ ids: [] }, /^ids is to be a list of one or more/],
    [{ ids: '1' }, /^ids is to be a list/],
    [{ ids: { length: 1 } }, /^ids is to be a list/],
    [{ ids: ['1', 'x'] }, /^"x" is no id of a dead letter/],
    [{ ids: ['01'] }, /^"01" is no id/],
    [{ ids: [0] }, /^0 is no id/],
    [{ ids: [1.5] }, /^1\.5 is no id/],
    [{ ids: [-1] }, /^-1 is no id/],
    [{ ids: [1e300] }, /^1e\+300 is no id/],
    [{ ids: ['9'.repeat(400)] }, /^"9{99} is no id/],
    [{ ids: [null] }, /^null is no id/],
    [{ ids: [['1']] }, /^\["1"\] is no id/],
    [{ ids: Array.from({ length: 1_001 }, () => '1') }, /^1001 ids are given, of which 1000 are allowed/],
    [{ ids: ['1'], code: 'empty' }, /^the body has ids, and more/],
    [{ all: true }, /^the body has "all"/],
    ['{"__proto__": {"code": "empty"}}', /^the body has "__proto__"/],
    [{ device: '' }, /^device is ""/],
    [{ device: 'a/b' }, /^device is "a\/b"/],
    [{ device: null }, /^device is null/],
    [{ code: 'constructor' }, /^code is "constructor"/],
    [{ code: ['empty'] }, /^code is \["empty"\]/],
    [{ stream: '+' }, /^stream is "\+"/],
    [{ before: 'x' }, /^before is "x": allowed is ISO 8601/],
    [{ before: -1 }, /^before is "-1"/],
    [{ before: null }, /^before is null/],
  ]
  for (const [body, right] of bodies) {
    for (const how of ['replay', 'purge'] as const) {
      const { status, code, message } = await ask(how, body)
      assert.deepEqual([status, code], [422, 'selection-invalid'], JSON.stringify(body))
      assert.match(message, right)
    }
  }
  assert.equal(idsOf(await asked<Page>(platform, '/v1/deadletters')), '1')
})

onEachServer('many are replayed by one request, and two at once take each out once', async (t, server) => {
  const platform = await startPlatform(t, server)
  const letters = 5_000
  await setAside(platform, ...Array.from({ length: letters }, () => ({})))
  const { replay } = await remover(platform, ['devices/a/#'])
  const answers = await Promise.all([replay({ device: 'a' }), replay({ code: 'empty' })])
  const counts = answers.map((answer) => (answer as { replayed?: number }).replayed ?? 0)
  assert.equal(
    counts.reduce((all, count) => all + count, 0),
    letters,
  )
  assert.equal((await platform.log.deadLetterCounts()).replayed, letters)
})

onEachServer('so many answers are made at once, and of one token a part of them', async (t, server) => {
  const platform = await startPlatform(t, server)
  await setAside(platform, ...Array.from({ length: 5_000 }, () => ({})))
  const ask = () => platform.get('/v1/deadletters?code=no-map')
  const answers = await Promise.all(Array.from({ length: 20 }, ask))
  const statuses = new Set(answers.map(({ status }) => status))
  assert(statuses.has(200) && [...statuses].every((status) => status === 200 || status === 503))
  assert.equal((await ask()).status, 200, 'a place is given back')
})
