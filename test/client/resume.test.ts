/** kill -9 of the gateway while readings flow: the SDK's loop has every reading, and each once. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { avro } from '../../client/avro/avro.ts'
import { connect, type SubscriptionState } from '../../client/client.ts'
import { until } from '../until.ts'
import { FILTER, Installation } from './installation.ts'

const KILLS = 3
const BETWEEN = 300

for (const [name, encoding] of [
  ['JSON', undefined],
  ['Avro', avro],
] as const) {
  test(`${name}: the gateway is killed and comes back, and the loop has no hole and nothing twice`, async (t) => {
    const installation = await Installation.start(t)
    const { gateway } = installation
    const app = connect(gateway.url, { token: await gateway.appToken(), encoding })
    t.after(() => app.close())
    const numbers: number[] = []
    let reconnects = 0
    let before: SubscriptionState = 'connecting'
    const subscription = app.subscribe(FILTER, {
      onState: (state) => {
        if (state === 'connecting' && before !== 'connecting') reconnects++
        before = state
      },
      onGap: (gap) => assert.fail(JSON.stringify(gap)),
    })
    const total = BETWEEN * (KILLS * 2 + 1)
    let isLive: () => void = () => undefined
    const live = new Promise<void>((resolve) => {
      isLive = resolve
    })
    const taking = (async () => {
      for await (const event of subscription.events()) {
        if (event.type === 'live') isLive()
        if (event.type === 'readings') numbers.push(...event.readings.map(({ values }) => values.temperature))
        if (numbers.length >= total) return
      }
    })()
    await live
    await installation.publish(BETWEEN)
    for (let kill = 0; kill < KILLS; kill++) {
      const publishing = installation.publish(BETWEEN)
      await gateway.kill()
      await publishing
      await Promise.all([installation.publish(BETWEEN), gateway.start()])
      // So that the next kill meets it again. The last one may have ended the loop already.
      const isBack = () => reconnects > kill && subscription.state === 'live'
      await until(() => isBack() || subscription.state === 'ended')
    }
    await taking
    assert.deepEqual(numbers, [...numbers.keys()])
    assert.equal(numbers.length, total)
    assert(reconnects >= KILLS, `${reconnects} reconnects`)
    t.diagnostic(`${total} readings, ${reconnects} reconnects`)
  })
}
