/** Owns a measured figure: its rounds, its median, what it is held to, and how figures are shown. */

export interface Figure {
  readonly name: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  readonly rounds: number
  /** What it is held to; absent for a figure that only stands beside another. */
  readonly target?: { readonly atMost: number } | { readonly atLeast: number }
  /** What else is worth knowing, in a few words. */
  readonly note?: string
}

export function figure(
  name: string,
  unit: string,
  rounds: readonly number[],
  more: Pick<Figure, 'target' | 'note'> = {},
): Figure {
  const sorted = rounds.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]]
  return {
    name,
    unit,
    median: (low + high) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    rounds: rounds.length,
    ...more,
  }
}

/** Above 1 the target is missed by that factor, below it is held. */
export function missRatio({ median, target }: Figure): number | undefined {
  if (target === undefined) return undefined
  return 'atMost' in target ? median / target.atMost : target.atLeast / median
}

const shown = (value: number) =>
  value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0, useGrouping: true })

/** A table, one row a figure. */
export function figureTable(figures: readonly Figure[]): string {
  const rows = [['what', 'median', 'min - max', 'unit', 'hold', 'ratio', '']]
  for (const each of figures) {
    const { name, unit, median, min, max, rounds, target, note = '' } = each
    const ratio = missRatio(each)
    const hold =
      target === undefined ? '' : 'atMost' in target ? `<= ${shown(target.atMost)}` : `>= ${shown(target.atLeast)}`
    const verdict = ratio === undefined ? '' : `${ratio.toFixed(2)} ${ratio <= 1 ? 'held' : 'MISSED'}`
    const range = rounds > 1 ? `${shown(min)} - ${shown(max)}` : 'one round'
    rows.push([name, shown(median), range, unit, hold, verdict, note])
  }
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
