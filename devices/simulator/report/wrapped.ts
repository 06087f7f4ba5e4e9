/** Owns how a line for a terminal is broken: at words, what comes behind under where it begins. A word that does not fit stays whole. */

/** Lines of at most `columns`, all but the first with so many spaces before them. */
export function wrapped(
  line: string,
  { columns, indent }: { readonly columns: number; readonly indent: number },
): string {
  if (line.length <= columns) return line
  const lines: string[] = []
  let start = 0
  let from = indent
  while (line.length - start + (start === 0 ? 0 : indent) > columns) {
    const room = columns - (start === 0 ? 0 : indent)
    const fits = line.lastIndexOf(' ', start + room)
    const at = fits > start + (start === 0 ? from : 0) ? fits : line.indexOf(' ', start + Math.max(room, from))
    if (at < 0) break
    lines.push(line.slice(start, at).trimEnd())
    start = at + 1
    from = 0
  }
  lines.push(line.slice(start))
  return lines.map((each, index) => (index === 0 ? each : ' '.repeat(indent) + each)).join('\n')
}
