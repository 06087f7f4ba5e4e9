/**
 * Owns the way to a value in a payload: dotted names, a number being an item of a list (`rx_metadata.0.rssi`), and `.` the payload
 * itself; and all of its numbers, flattened.
 *
 * Always true: only what the payload itself has is found, so `__proto__` and `constructor` are names like any other. Bound:
 * `FLATTENED_LEVELS_MAX` levels are flattened.
 */

const FLATTENED_LEVELS_MAX = 8

/** Empty for the payload itself. */
export type Path = readonly string[]

export const parsePath = (text: string): Path => (text === '.' ? [] : text.split('.'))

export function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** An object that has `value` at `path`. */
export function objectWith(path: Path, value: unknown): unknown {
  let whole = value
  for (let at = path.length - 1; at >= 0; at--) {
    const level = Object.create(null) as Record<string, unknown>
    level[path[at] as string] = whole
    whole = level
  }
  return whole
}

export const beginsWith = (path: Path, start: Path): boolean => start.every((name, at) => path[at] === name)

/** Calls back with each number that is not within a list, but for what `isIgnored`. */
export function eachNumber(
  root: unknown,
  isIgnored: (path: Path) => boolean,
  visit: (path: Path, value: number) => void,
  above: Path = [],
): void {
  if (typeof root !== 'object' || root === null || Array.isArray(root) || above.length >= FLATTENED_LEVELS_MAX) return
  for (const [name, value] of Object.entries(root)) {
    const path = [...above, name]
    if (isIgnored(path)) continue
    if (typeof value === 'number') visit(path, value)
    else eachNumber(value, isIgnored, visit, path)
  }
}

/** The column that is named after a path: names joined by `_`, what no column may have in its name being `_`, too. */
export function columnOf(path: Path): string {
  const name = path.join('_').replace(/[^A-Za-z0-9_]/g, '_')
  const sound = /^[A-Za-z]/.test(name) ? name : `v${name.startsWith('_') ? '' : '_'}${name}`
  return ['device', 'time'].includes(sound.toLowerCase()) ? `${sound}_` : sound
}
