/** The report of a run as a person sees it, in a real browser: on a phone and at a desk, by day and by night, on paper, and by keys alone. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'
import { type ReportInput, reportHtml } from '../../../../devices/simulator/report/report-page.ts'
import type { Summary } from '../../../../devices/simulator/report/summary.ts'
import { DESKTOP, type Look, openPage, PHONE } from '../../../browser.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { ROOT } from '../../../tree.ts'
import { BAD, CURVES, GOOD, HOSTILE, RECORD, ROWS } from './finished-run.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const RUN = `axe.run(document, { runOnly: ${JSON.stringify(TAGS)}, resultTypes: ['violations'] })`

const LOOKS = { phone: PHONE, desktop: DESKTOP }
const RUNS: Readonly<Record<string, Summary>> = { good: GOOD, bad: BAD }
const SCHEMES = ['light', 'dark'] as const
/** How a picture of each is kept, for who wants to look: `PICTURES=directory`. */
const { PICTURES } = process.env

function fileOf(t: TestContext, changes: Partial<ReportInput>): string {
  const path = join(scratchDirectory(t), 'report.html')
  writeFileSync(path, reportHtml({ summary: GOOD, run: RECORD, seconds: ROWS, curves: CURVES, ...changes }))
  return pathToFileURL(path).href
}

const openReport = (t: TestContext, changes: Partial<ReportInput> = {}, look: Look = DESKTOP) =>
  openPage(t, fileOf(t, changes), look)

/** How many points of each plot have been drawn on. */
const drawnOn = (page: Page): Promise<number[]> => page.evaluate(DRAWN_ON)
const DRAWN_ON = `[...document.querySelectorAll('.plot canvas')].map((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  return data.filter((value, index) => index % 4 === 3 && value !== 0).length
})`
const WIDTHS = `[...document.querySelectorAll('.plot canvas')].map((canvas) => canvas.clientWidth)`
const SCREEN = '[document.documentElement.scrollWidth, document.documentElement.clientWidth]'

const textOf = async (page: Page, selector: string): Promise<string> => (await page.textContent(selector)) ?? ''

for (const [name, summary] of Object.entries(RUNS)) {
  for (const [width, look] of Object.entries(LOOKS)) {
    test(`a ${name} run, ${width}: nothing is beside the screen, all is drawn, and nobody is kept out`, async (t) => {
      const page = await openReport(t, { summary }, look)
      if (page === undefined) return
      const [content = 1, screen = 0]: number[] = await page.evaluate(SCREEN)
      assert(content <= screen, `${content} px in ${screen}`)
      await page.evaluate(AXE)
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme })
        const drawn = await drawnOn(page)
        assert.equal(drawn.length, 4)
        for (const points of drawn) assert(points > 2_000, `${drawn}`)
        if (PICTURES !== undefined) {
          await page.screenshot({ path: join(PICTURES, `${name}-${width}-${colorScheme}.png`), fullPage: true })
        }
        const { violations, passes }: AxeResults = await page.evaluate(RUN)
        const said = violations.flatMap(({ id, nodes }) =>
          nodes.map((node) => `${id}: ${node.html}\n${node.failureSummary}`),
        )
        assert.deepEqual(said, [], said.join('\n\n'))
        assert(passes.length > 10, 'it was looked at')
      }
    })
  }
}

test('what is read first is what the run has shown, and sums add up', async (t) => {
  const page = await openReport(t)
  if (page === undefined) return
  assert.match(await textOf(page, '.verdict'), /two thousand trucks✓ It holdsNothing lost: 599,000 acknowledged/)
  for (const sum of await page.$$('.sum')) {
    const numbers = await sum.$$eval('td', (cells) =>
      cells.map((cell) => Number(cell.textContent?.replaceAll(',', ''))),
    )
    const total = numbers.pop()
    assert.equal(
      numbers.reduce((all, each) => all + each, 0),
      total,
    )
  }
  assert.equal((await page.$$('.sum')).length, 3)
  assert.equal((await page.$$('.stage.good')).length, 9)
})

test('each finding stands at its stage, leads to its sentence, and has its examples', async (t) => {
  const page = await openReport(t, { summary: BAD })
  if (page === undefined) return
  assert.match(await textOf(page, '.verdict'), /✗ It does not holdLOST 3 at ingest/)
  const bad = await page.locator('.stage.bad').allTextContents()
  assert.deepEqual(bad, ['Live598,882 readings cameLIVE DUPLICATED 1', 'Ingestinto pointsLOST 3'])
  await page.click('.stage[data-stage=ingest] a')
  assert.match(page.url(), /#finding-0$/)
  assert.match(
    await textOf(page, '#finding-0'),
    /^LOST 3 at ingestThey were acknowledged .*\.truck-7 vehicle 2026-11-30T12:00:07/,
  )
})

test('whatever is hostile stays text: it runs nothing, asks nobody, and turns no writing round', async (t) => {
  const run = { ...RECORD, scenario: { ...RECORD.scenario, name: HOSTILE } }
  const page = await openReport(t, { summary: BAD, run })
  if (page === undefined) return
  assert.match(await page.title(), /^✗ a bad day <\/script>/)
  assert.equal((await page.$$('#report img, #report script')).length, 0)
  const text = await textOf(page, '#report')
  assert(text.includes('\\u202e') && !text.includes('\u202e') && !text.includes('\u001b'))
})

test('a run of which nothing was measured has a report, too', async (t) => {
  const { verification: _, latencyMs: __, liveMs: ___, connectMs: ____, slipMs: _____, ...rest } = GOOD
  const summary = { ...rest, faults: [], thresholds: [], toAcknowledge: 0, acknowledged: 0 }
  const page = await openReport(t, { summary, seconds: [], curves: {} })
  if (page === undefined) return
  assert.match(await textOf(page, '#timeline'), /No second of it is over/)
  assert.match(await textOf(page, '#way'), /Nobody asked the store/)
  assert.equal((await page.$$('canvas')).length, 0)
})

test('plots are read by keys, and what is under the cursor is said', async (t) => {
  const page = await openReport(t)
  if (page === undefined) return
  const area = page.locator('.area').first()
  await area.focus()
  await page.keyboard.press('End')
  await page.keyboard.press('ArrowLeft')
  assert.equal(await area.locator('[aria-live]').textContent(), '4:58: due 2,000, sent 2,000, acknowledged 2,000')
  const legends = await page.locator('#timeline .legend').allTextContents()
  assert.match(legends[2] ?? '', /connected 2,000/, 'the cursor is that of all plots over seconds')
})

test('on paper it is by day, its plots fit, and the scenario is unfolded', async (t) => {
  const page = await openReport(t, {}, { ...DESKTOP, colorScheme: 'dark' })
  if (page === undefined) return
  await page.evaluate("dispatchEvent(new Event('beforeprint'))")
  await page.emulateMedia({ media: 'print' })
  const widths: number[] = await page.evaluate(WIDTHS)
  assert(widths.length === 4 && widths.every((width) => width <= 680), `${widths}`)
  assert.equal(await page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--card')"), '#fff')
  assert.equal(await page.getAttribute('details', 'open'), '')
  assert((await drawnOn(page)).every((points) => points > 2_000))
  if (PICTURES !== undefined) await page.pdf({ path: join(PICTURES, 'paper.pdf') })
  await page.evaluate("dispatchEvent(new Event('afterprint'))")
  assert.equal(await page.getAttribute('details', 'open'), null)
})

test("its colours are the dashboard's", () => {
  const coloursOf = (file: string) => {
    const text = readFileSync(join(ROOT, file), 'utf8')
    const blocks = [...text.matchAll(/:root[^{]*\{([^}]*)\}/g)].map(([, block = '']) => block)
    return blocks
      .slice(0, 2)
      .map((block) => new Map([...block.matchAll(/--([\w-]+): ([^;]+);/g)].map(([, name, value]) => [name, value])))
  }
  const [ours, theirs] = [coloursOf('devices/simulator/report/page/report.css'), coloursOf('dashboard/page.css')]
  assert.equal(ours.length, 2)
  for (const [index, colours] of ours.entries()) {
    for (const [name, value] of colours) if (name !== 'second') assert.equal(value, theirs[index]?.get(name), `${name}`)
  }
})
