/** Owns reading the dashboard as Grafana's InfluxDB source does: its queries, and what the variables in them become. */

import assert from 'node:assert/strict'
import { readText } from './compose-file.ts'

interface Target {
  readonly query: string
  readonly datasource: { readonly uid: string }
}

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly targets?: readonly Target[]
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
}

export interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] }
}

export interface PanelQuery {
  readonly panel: Panel
  readonly text: string
  readonly measurement: string
  readonly fields: readonly string[]
  readonly tags: readonly string[]
}

export const readDashboard = (): Dashboard => JSON.parse(readText('deploy/grafana/dashboards/telltale.json'))

export function panelQueries({ panels }: Dashboard): PanelQuery[] {
  return panels.flatMap((panel) => (panel.targets ?? []).map(({ query }) => ({ panel, ...parts(query) })))
}

/** What a query names: the fields in a function, the measurement after FROM, the tags it groups and selects by. */
function parts(text: string): Omit<PanelQuery, 'panel'> {
  const captured = (pattern: RegExp, from = text) => [...from.matchAll(pattern)].map(([, name = '']) => name)
  const [selected = '', rest = ''] = text.split(/ FROM /)
  const where = captured(/"([^"]+)" (?:=~|!~|=|!=)/g, rest)
  const groups = captured(/"([^"]+)"/g, / GROUP BY (.*?)( fill| SLIMIT|$)/.exec(rest)?.[1] ?? '')
  return {
    text,
    measurement: captured(/^"([^"]+)"/g, rest)[0] ?? '',
    fields: captured(/\w+\("([^"]+)"\)/g, selected),
    tags: [...new Set([...where, ...groups])],
  }
}

/**
 * The query as it is sent: `$timeFilter`, `$__interval` and `$device`, which in a regular expression is one escaped
 * value, several as `(a|b)`, or `.*` for all (Grafana's documentation, "InfluxDB template variables").
 */
export function filledIn(
  text: string,
  values: { readonly from: number; readonly to: number; readonly device: string },
) {
  return text
    .replaceAll('$timeFilter', `time >= ${values.from}ms and time <= ${values.to}ms`)
    .replaceAll('$__interval', '10s')
    .replaceAll('$device', values.device)
}

/** Grafana has 24 columns; panels have their own ids, and none covers another. */
export function assertApart(panels: readonly Pick<Panel, 'id' | 'title' | 'gridPos'>[]): void {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const cells = new Set<string>()
  for (const { title, gridPos } of panels) {
    assert(gridPos.x + gridPos.w <= 24, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert(!cells.has(`${x},${y}`), `${title} covers another panel`)
        cells.add(`${x},${y}`)
      }
    }
  }
}
