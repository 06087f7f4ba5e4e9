/** Owns the answer to "in which line does this stand?" for the fields of a schema's text, which is known to be JSON. */

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g

/** The line, from 1, of the field that these names lead to; of the last on the way if the rest is defined elsewhere. */
export function lineOfField(text: string, path: readonly string[]): number {
  const lines = linesOf(text)
  let at = ''
  let schema: unknown = JSON.parse(text)
  let line = 1
  for (const name of path) {
    const record = recordIn(schema, at)
    const index = record?.fields.findIndex((field) => field?.name === name) ?? -1
    if (record === undefined || index < 0) break
    at = `${record.at}/fields/${index}`
    schema = record.fields[index]?.type
    line = lines.get(`${at}/name`) ?? lines.get(at) ?? line
    at += '/type'
  }
  return line
}

interface RecordAt {
  readonly at: string
  readonly fields: readonly { readonly name?: unknown; readonly type?: unknown }[]
}

/** The record of a type, within a union or an object that has it as its type. */
function recordIn(schema: unknown, at: string): RecordAt | undefined {
  if (Array.isArray(schema)) {
    for (const [index, branch] of schema.entries()) {
      const found = recordIn(branch, `${at}/${index}`)
      if (found !== undefined) return found
    }
    return undefined
  }
  if (typeof schema !== 'object' || schema === null) return undefined
  const { fields, type } = schema as { fields?: unknown; type?: unknown }
  return Array.isArray(fields) ? { at, fields } : recordIn(type, `${at}/type`)
}

/** The line of each value, by the way to it: `/fields/1/name`. */
function linesOf(text: string): Map<string, number> {
  const lines = new Map<string, number>()
  const open: { path: string; key: string | number }[] = []
  let line = 1
  let last = 0
  let key: string | undefined
  for (const match of text.matchAll(TOKEN)) {
    for (; last < match.index; last++) if (text.charCodeAt(last) === 10) line++
    const [token] = match
    const inside = open.at(-1)
    if (token === '}' || token === ']') open.pop()
    else if (token === ',') {
      if (typeof inside?.key === 'number') inside.key++
      key = undefined
    } else if (token === ':') {
      if (inside !== undefined) inside.key = key ?? ''
      key = undefined
    } else {
      const isKey = typeof inside?.key === 'string' && inside.key === '' && token.startsWith('"')
      if (isKey) {
        key = JSON.parse(token) as string
        continue
      }
      const path = inside === undefined ? '' : `${inside.path}/${inside.key}`
      lines.set(path, line)
      if (token === '{') open.push({ path, key: '' })
      else if (token === '[') open.push({ path, key: 0 })
      if (token !== '{' && token !== '[' && typeof inside?.key === 'string') inside.key = ''
      continue
    }
    if ((token === '}' || token === ']') && typeof open.at(-1)?.key === 'string')
      (open.at(-1) as { key: string }).key = ''
  }
  return lines
}
