/** `telltale why` on a real platform: each cause is planted by a real client, and named. The long form: `npm run why`. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceRecord } from '../../gateway/devices/one-device.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'
import { MESSAGES_PER_SECOND, PLANTED, Site, topicOf } from './why/planted.ts'

const AWAY = {
  INFLUX_URL: 'http://127.0.0.1:9',
  INFLUX_TOKEN: 'x',
  INFLUX_ORG: 'x',
  INFLUX_BUCKET: 'x',
  TELLTALE_STORE: 'influx',
}

test('each cause that is planted is named, and outlives kill -9', async (t) => {
  const environment = { TELLTALE_DEVICE_MESSAGES_PER_SECOND: String(MESSAGES_PER_SECOND) }
  const platform = await RunningPlatform.start(t, { environment })
  const site = await Site.of(platform)
  t.after(() => site.stop())
  const planted = PLANTED.filter(({ isSlow }) => !isSlow).map((each, index) => ({ ...each, device: `truck-${index}` }))
  await Promise.all(
    planted.map(async (each) => {
      await each.plant(site, each.device)
      const why = await site.answers(each.device, each)
      assert(why.sentence.includes(each.device), why.sentence)
      assert.equal(why.mend === undefined, each.cause === 'well', why.sentence)
      assert(why.evidence.length > 0, each.name)
    }),
  )

  const well = planted.find(({ cause }) => cause === 'well')?.device ?? assert.fail()
  const bad = planted.find(({ code }) => code === 'malformed-json')?.device ?? assert.fail()
  const record = await platform.get<DeviceRecord>(`/v1/devices/${bad}`)
  assert.deepEqual([record.ledger.stored, record.ledger.deadLettered, record.ledger.balanced], [1, 3, true])
  assert.deepEqual(
    record.deadLetters.map(({ code, count }) => [code, count]),
    [['malformed-json', 3]],
  )
  assert.equal(record.hours.at(-1)?.setAside, 3)
  assert.equal(record.streams[0]?.formats?.[0]?.framing, 'json')
  assert.match(await platform.telltale('why', well), /^all is well with truck-\d+: its last message came/)
  await assert.rejects(platform.telltale('why', 'truk-1'), { code: 1, stderr: /never connected.*near to it: truck-1/ })
  const failed = await platform.telltale('why', bad).catch(({ code, stdout }) => ({ code, stdout }))
  assert.equal((failed as { code: number }).code, 1)
  assert.match((failed as { stdout: string }).stdout, new RegExp(`^${bad} sends, and what it sends is set aside`))

  const ofPast = new Set(['refused', 'set-aside', 'wrong-topic', 'too-large'])
  const kept = planted.filter(({ cause }) => ofPast.has(cause))
  await platform.kill()
  const down = await platform.telltale('why', well).catch(({ stdout }) => stdout as string)
  assert.match(down, /the platform's broker does not run/)
  await platform.start()
  for (const { device, code } of kept) {
    const { totals, deadLetters } = await platform.get<DeviceRecord>(`/v1/devices/${device}`)
    if (code === undefined) continue
    assert(
      [...totals, ...deadLetters].some((each) => each.code === code),
      `${device}: ${code}`,
    )
  }
  for (const { device, cause, code } of kept.filter((each) => each.cause === 'refused')) {
    await site.answers(device, { cause, ...(code && { code }) })
  }
})

test('while the store is away what devices send is late, and when the log is full it is not taken', async (t) => {
  const environment = { ...AWAY, TELLTALE_LOG_MAX_BYTES: '16MiB' }
  const platform = await RunningPlatform.start(t, { environment })
  const site = await Site.of(platform)
  t.after(() => site.stop())
  const client = await site.connect('truck-7')
  site.keepSending(client, 'truck-7')
  const why = await site.answers('truck-7', { cause: 'store-away' })
  assert.match(why.sentence, /the store is away since \d{4}-.*nothing is lost/)
  const flood = await site.connect('flood')
  const payload = Buffer.alloc(200_000, 0x20)
  let isFull = false
  const flooding = (async () => {
    while (!isFull && flood.connected) {
      const sent = Array.from({ length: 8 }, () => flood.publishAsync(topicOf('flood'), payload, { qos: 1 }))
      await Promise.race([Promise.all(sent), until(() => isFull || !flood.connected)])
    }
  })().catch(() => undefined)
  await site.answers('truck-7', { cause: 'log-full' })
  isFull = true
  await flooding
})
