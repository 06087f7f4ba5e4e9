/** The dashboard in a real browser: what it shows it is told live, and its token is in no request's target. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { showPage } from './browser.ts'
import { startPassage } from './passage.ts'
import { startPlatform } from './platform.ts'

test('a browser opens the link, and is told live; its token stands in no target', async (t) => {
  const platform = await startPlatform(t, 'node')
  const passage = await startPassage(t, () => platform.gateway.port)
  const link = `http://127.0.0.1:${passage.port}/#access_token=${platform.token}`
  await showPage(t, link, async () => {
    // Of a page that is subscribed the gateway knows.
    await until(async () => /^telltale_gateway_subscriptions 1$/m.test(await platform.metrics.metrics()))
    const targets = passage.heads().map((head) => head.split('\r\n')[0] ?? '')
    assert(targets.includes('GET /v1/live HTTP/1.1'), targets.join('\n'))
    for (const target of targets) assert(!target.includes('eyJ'), target)
  })
})
