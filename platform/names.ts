/** Owns which known names are nearest to one that is not known: who looks for a device may have written another. */

/** Names that are told, and how far they may be: in letters added, left out or exchanged. */
const NEAREST_MAX = 3
const DISTANCE_MAX = 3
/** Names that are looked at: 100,000 take 30 ms. */
const LOOKS_MAX = 100_000

/** The nearest first. */
export function nearestTo(name: string, known: Iterable<string>): string[] {
  const found: { name: string; distance: number }[] = []
  const wanted = plain(name)
  let looks = 0
  for (const each of known) {
    if (looks++ >= LOOKS_MAX) break
    if (Math.abs(each.length - name.length) > DISTANCE_MAX) continue
    const distance = distanceOf(wanted, plain(each))
    if (distance > Math.min(DISTANCE_MAX, name.length / 2)) continue
    found.push({ name: each, distance })
    found.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    if (found.length > NEAREST_MAX) found.pop()
  }
  return found.map(({ name }) => name)
}

/** Case and what stands between words are what people mix up. */
const plain = (name: string) => name.toLowerCase().replace(/[._:]/g, '-')

/** Levenshtein's, or `DISTANCE_MAX + 1` for what is further. */
function distanceOf(one: string, other: string): number {
  let before = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let at = 1; at <= one.length; at++) {
    const row = [at]
    for (let to = 1; to <= other.length; to++) {
      const same = one[at - 1] === other[to - 1] ? 0 : 1
      row[to] = Math.min((row[to - 1] ?? 0) + 1, (before[to] ?? 0) + 1, (before[to - 1] ?? 0) + same)
    }
    if (Math.min(...row) > DISTANCE_MAX) return DISTANCE_MAX + 1
    before = row
  }
  return before[other.length] ?? 0
}
