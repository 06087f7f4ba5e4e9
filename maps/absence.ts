/**
 * Owns what is told to who misses a value in a payload: where it is not, and what there is instead.
 *
 * Bound: `NAMES_SHOWN` names, of `LEVELS_SHOWN` levels.
 */

import { quote } from '../schemas/values.ts'
import { type Path, valueAt } from './path.ts'

export const NAMES_SHOWN = 12
const LEVELS_SHOWN = 4

/** `nothing at AC.Power; AC has P, E_total`. */
export function absence(root: unknown, path: Path): string {
  let depth = path.length
  let value: unknown
  do value = valueAt(root, path.slice(0, --depth))
  while (value === undefined && depth > 0)
  const above = depth === 0 ? 'it' : path.slice(0, depth).join('.')
  const what = typeof value === 'object' && value !== null ? 'has' : 'is'
  return `nothing at ${path.join('.')}; ${above} ${what} ${namesIn(value)}`
}

/** The paths of what it has; of what has no names, itself. */
export function namesIn(root: unknown): string {
  if (typeof root !== 'object' || root === null) return quote(root)
  const names: string[] = []
  collect(root, [], names)
  if (names.length === 0) return 'nothing'
  const shown = names.slice(0, NAMES_SHOWN).join(', ')
  return names.length > NAMES_SHOWN ? `${shown} and more` : shown
}

function collect(value: object, above: Path, names: string[]): void {
  for (const [name, item] of Object.entries(value)) {
    const path = [...above, name]
    const goesOn =
      typeof item === 'object' && item !== null && path.length < LEVELS_SHOWN && Object.keys(item).length > 0
    if (goesOn) collect(item, path, names)
    else names.push(path.join('.'))
    if (names.length > NAMES_SHOWN) return
  }
}
