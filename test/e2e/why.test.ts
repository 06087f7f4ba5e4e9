/** `telltale why` on a real platform: each cause is planted by a real client, and named. The long form: `npm run why`. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CAUSES } from '../../gateway/devices/causes/cause.ts'
import type { DeviceRecord } from '../../gateway/devices/one-device.ts'
import { PLANTED, Site } from './why/planted.ts'
import { DEVICE, NOT_PLANTED, PLANTED_IN_PLATFORM } from './why/platforms.ts'

test('every cause there is has been planted, or it is said why it cannot be', (t) => {
  const planted = new Set([...PLANTED, ...PLANTED_IN_PLATFORM].map(({ cause }) => cause))
  for (const cause of CAUSES)
    assert(
      planted.has(cause) !== Object.hasOwn(NOT_PLANTED, cause),
      `${cause} is planted, or in NOT_PLANTED with a reason`,
    )
  const slow = new Set([...PLANTED, ...PLANTED_IN_PLATFORM].filter(({ isSlow }) => isSlow).map(({ cause }) => cause))
  t.diagnostic(`planted: ${[...planted].join(', ')}; by npm run why only: ${[...slow].join(', ')}`)
})

test('each cause that is planted is named, and outlives kill -9', async (t) => {
  const site = await Site.start(t)
  const { platform } = site
  const planted = PLANTED.filter(({ isSlow }) => !isSlow).map((each, index) => ({ ...each, device: `truck-${index}` }))
  await Promise.all(
    planted.map(async (each) => {
      await each.plant(site, each.device)
      const why = await site.answers(each.device, each)
      assert(why.sentence.includes(each.device), why.sentence)
      assert.match(why.sentence, each.says ?? /./)
      assert.equal(why.mend === undefined, each.cause === 'well', why.sentence)
      assert(why.evidence.length > 0 || each.isOfNew, each.name)
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

for (const { name, cause, says, isSlow, plant } of PLANTED_IN_PLATFORM) {
  if (isSlow) continue
  test(`${name} is named: ${cause}`, async (t) => {
    const site = await plant(t)
    const why = await site.answers(DEVICE, { cause })
    assert.match(why.sentence, says)
    assert(why.mend)
  })
}
