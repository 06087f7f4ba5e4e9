/**
 * The layout of each view on a phone and at a desk: as it is committed in `layout/`, and right whatever it is (nothing wider than the screen,
 * no control over another, no text cut without an ellipsis, nothing too small for a thumb). `UPDATE=1` commits what is; look at the screenshots first.
 */

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DESKTOP, PHONE } from '../browser.ts'
import { ROOT } from '../tree.ts'
import { openFixedFleet, show, startFixedFleet, viewsOf } from './fixed-fleet.ts'

const COMMITTED = join(ROOT, 'test/dashboard/layout')
const MEASURE = readFileSync(join(ROOT, 'test/dashboard/measure.js'), 'utf8').replace('export ', '')
const LOOKS = { phone: PHONE, desktop: DESKTOP }
/** By so much fonts differ: in pixels, and of the number. */
const TOLERANCE = { px: 4, of: 0.02 }

interface Block {
  readonly block: string
  readonly left?: number
  readonly width?: number
  readonly below?: number
  readonly height?: number
}

interface Measured {
  readonly layout: readonly Block[]
  readonly wrong: readonly string[]
}

test('each view is laid out as it is committed, and nothing is cut, covered or too small', async (t) => {
  const platform = await startFixedFleet(t)
  const screenshots = mkdtempSync(join(tmpdir(), 'telltale-layout-'))
  let failed = false
  for (const [name, look] of Object.entries(LOOKS)) {
    const page = await openFixedFleet(t, platform, look)
    if (page === undefined) return
    for (const view of await viewsOf(page)) {
      await t.test(`${view.name}, ${name}`, async () => {
        await show(page, view)
        const { layout, wrong } = await page.evaluate<Measured>(`(${MEASURE})(${look === PHONE})`)
        const file = join(COMMITTED, `${view.name}-${name}.json`)
        const screenshot = join(screenshots, `${view.name}-${name}.png`)
        await page.screenshot({ path: screenshot })
        failed = true
        if (process.env.UPDATE) {
          mkdirSync(COMMITTED, { recursive: true })
          writeFileSync(file, `[\n${layout.map((block) => `  ${JSON.stringify(block)}`).join(',\n')}\n]\n`)
        }
        assert(
          existsSync(file),
          `${file} is not there; UPDATE=1 writes it, and this is how the view looks: ${screenshot}`,
        )
        const committed = JSON.parse(readFileSync(file, 'utf8')) as Block[]
        const said = [...wrong, ...differences(committed, layout)]
        assert.deepEqual(said, [], `${said.join('\n')}\nThis is how the view looks: ${screenshot}`)
        failed = false
      })
    }
    await page.close()
  }
  // Those of a failure are to be looked at.
  if (!failed && !process.env.UPDATE) rmSync(screenshots, { recursive: true })
  else t.diagnostic(`the screenshots: ${screenshots}`)
})

function differences(committed: readonly Block[], layout: readonly Block[]): string[] {
  const names = (blocks: readonly Block[]) => blocks.map(({ block }) => block).join(' ')
  if (names(committed) !== names(layout)) return [`the blocks are ${names(layout)}, and were ${names(committed)}`]
  return committed.flatMap((was, index) => {
    const is = layout[index] ?? was
    const keys = ['left', 'width', 'below', 'height'] as const
    return keys
      .filter((key) => !isNear(was[key], is[key]))
      .map((key) => `${was.block} (block ${index}): ${key} is ${is[key]}, and was ${was[key]}`)
  })
}

function isNear(was: number | undefined, is: number | undefined): boolean {
  if (was === undefined || is === undefined) return was === is
  return Math.abs(was - is) <= TOLERANCE.px + TOLERANCE.of * Math.abs(was)
}
