/** The dashboard in a real browser: what it shows it is told live, and its token is in no request's target. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPage } from '../browser.ts'
import { until } from '../until.ts'
import { startPassage } from './passage.ts'
import { environment, NOW, startPlatform } from './platform.ts'

test('a browser opens the link, and is told live; its token stands in no target, and not in the address', async (t) => {
  const platform = await startPlatform(t, 'node')
  const passage = await startPassage(t, () => platform.gateway.port)
  await platform.publish('truck-7', 'environment', environment(NOW, 21.5))
  const page = await openPage(t, `http://127.0.0.1:${passage.port}/#access_token=${platform.token}`)
  if (page === undefined) return
  await page.getByText('21.5').waitFor()
  await platform.publish('truck-7', 'environment', environment(NOW + 1, 22.5))
  // One reading a second is shown, by the platform's clock.
  await until(() => {
    platform.clock.time += 1_000
    return page.getByText('22.5').isVisible()
  })
  assert.doesNotMatch(page.url(), /eyJ/)
  const targets = passage.heads().map((head) => head.split('\r\n')[0] ?? '')
  assert(targets.includes('GET /v1/live HTTP/1.1'), targets.join('\n'))
  for (const target of targets) assert(!target.includes('eyJ'), target)
})
