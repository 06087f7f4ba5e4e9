/** Each view of the dashboard is looked through by axe-core for what keeps people out (WCAG 2.2 AA): on a phone and at a desk, light and dark. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import type { AxeResults } from 'axe-core'
import { DESKTOP, PHONE } from '../browser.ts'
import { openFixedFleet, show, startFixedFleet, viewsOf } from './fixed-fleet.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
const RUN = `axe.run(document, { runOnly: ${JSON.stringify(TAGS)}, resultTypes: ['violations'] })`

const LOOKS = { phone: PHONE, desktop: DESKTOP }
const SCHEMES = ['light', 'dark'] as const

test('no view keeps anybody out', async (t) => {
  const platform = await startFixedFleet(t)
  for (const [name, look] of Object.entries(LOOKS)) {
    const page = await openFixedFleet(t, platform, look)
    if (page === undefined) return
    const views = await viewsOf(page)
    // Past the policy of the page, as what a browser's own tools evaluate.
    await page.evaluate(AXE)
    for (const view of views) {
      await t.test(`${view.name}, ${name}`, async () => {
        await show(page, view)
        for (const colorScheme of SCHEMES) {
          await page.emulateMedia({ colorScheme })
          const { violations, passes }: AxeResults = await page.evaluate(RUN)
          const said: string[] = violations.flatMap(({ id, nodes }) =>
            nodes.map(({ html, failureSummary }) => `${colorScheme}: ${id}: ${html}\n${failureSummary}`),
          )
          assert.deepEqual(said, [], said.join('\n\n'))
          assert(passes.length > 10, 'it was looked at')
        }
      })
    }
    await page.close()
  }
})
