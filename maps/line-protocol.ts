/**
 * Owns reading InfluxDB's line protocol, as Telegraf's `influx` data format writes it: each line an object of its fields, with its
 * tags under `tags`, its name as `measurement`, and its time, nanoseconds, as a bigint.
 *
 *   cpu,host=a,cpu=cpu0 usage_user=1.5,usage_system=2i 1763900000000000000
 *
 * Always true: it never throws for what the text says; a line is read whole or refused with its number. Linear in the text.
 */

export interface Line {
  readonly fields: Readonly<Record<string, unknown>>
  readonly time: bigint | undefined
}

/** Under these names a line's tags and its measurement are found. */
const RESERVED: Readonly<Record<string, true>> = Object.assign(Object.create(null), { tags: true, measurement: true })
const SET = /((?:\\.|[^,= \\])+)=("(?:\\.|[^"\\])*"|(?:\\.|[^,\s"\\])+)/y
const INTEGER = /^(-?\d+)[iu]$/
const FLOAT = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
const BOOLEANS: Readonly<Record<string, boolean>> = {
  t: true,
  T: true,
  true: true,
  True: true,
  TRUE: true,
  f: false,
  F: false,
  false: false,
  False: false,
  FALSE: false,
}

/** The lines, or what is wrong with the first that cannot be read. */
export function readLines(text: string): readonly Line[] | string {
  const lines: Line[] = []
  let number = 1
  for (let at = 0; at < text.length; number++) {
    const end = lineEnd(text, at)
    const line = text.slice(at, end).trim()
    at = end + 1
    if (line === '' || line.startsWith('#')) continue
    const read = readLine(line)
    if (typeof read === 'string') return `line ${number}: ${read}`
    lines.push(read)
  }
  return lines.length === 0 ? 'it has no line' : lines
}

/** A line feed within quotes is part of a text. */
function lineEnd(text: string, from: number): number {
  let quoted = false
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x5c) at++
    else if (code === 0x22) quoted = !quoted
    else if (code === 0x0a && !quoted) return at
  }
  return text.length
}

function readLine(line: string): Line | string {
  const head = /^((?:\\.|[^, \\])+)(,?)/.exec(line)
  if (head === null) return 'it begins with no measurement'
  const fields = Object.create(null) as Record<string, unknown>
  const tags = Object.create(null) as Record<string, unknown>
  let at = head[0].length
  if (head[2] === ',') {
    let twice: string | undefined
    const end = setsOf(line, at, (name, value) => {
      if (name in tags) twice ??= name
      tags[name] = unescaped(value)
    })
    if (twice !== undefined) return `the tag ${twice} stands in it twice`
    if (end === undefined) return 'its tags are not name=value, separated by commas'
    at = end
  }
  if (line[at] !== ' ') return 'a space is missing before its fields'
  while (line[at] === ' ') at++
  let wrong: string | undefined
  const end = setsOf(line, at, (name, value) => {
    if (name in fields) wrong ??= `the field ${name} stands in it twice`
    if (name in RESERVED) wrong ??= `the field ${name} has the name of what the line says besides`
    fields[name] = fieldValue(value)
    if (fields[name] === undefined) wrong ??= `field ${name} is ${value}, which is no value`
  })
  if (end === undefined) return 'its fields are not name=value, separated by commas'
  if (wrong !== undefined) return wrong
  const rest = line.slice(end).trim()
  if (rest !== '' && !/^-?\d{1,19}$/.test(rest))
    return `its time is ${JSON.stringify(rest.slice(0, 32))}, which is no number`
  fields.tags = tags
  fields.measurement = unescaped(head[1] ?? '')
  return { fields, time: rest === '' ? undefined : BigInt(rest) }
}

/** Where the sets that begin at `from` end; undefined if they are none. */
function setsOf(line: string, from: number, take: (name: string, value: string) => void): number | undefined {
  for (let at = from; ; at++) {
    SET.lastIndex = at
    const found = SET.exec(line)
    if (found === null) return undefined
    take(unescaped(found[1] ?? ''), found[2] ?? '')
    at = SET.lastIndex
    if (line[at] !== ',') return at === line.length || line[at] === ' ' ? at : undefined
  }
}

const unescaped = (text: string) => text.replace(/\\([,= \\])/g, '$1')

function fieldValue(text: string): unknown {
  if (text.startsWith('"')) return text.slice(1, -1).replace(/\\(["\\])/g, '$1')
  if (Object.hasOwn(BOOLEANS, text)) return BOOLEANS[text]
  const integer = INTEGER.exec(text)?.[1]
  if (integer !== undefined) return Number(integer)
  return FLOAT.test(text) ? Number(text) : undefined
}
