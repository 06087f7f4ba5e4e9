/** Owns reading CSV (RFC 4180) as it comes, row by row. Bound: one row, whatever is quoted in it. */

const QUOTE = '"'

/** Rows of fields; an empty line is a row of one empty field. */
export async function* csvRows(chunks: AsyncIterable<string>): AsyncGenerator<string[]> {
  let fields: string[] = []
  let field = ''
  let isQuoted = false
  /** A quote within quotes: its end, or the first of two. */
  let wasQuote = false
  for await (const chunk of chunks) {
    for (const char of chunk) {
      if (isQuoted && char !== QUOTE && !wasQuote) field += char
      else if (isQuoted && char === QUOTE) {
        if (wasQuote) field += QUOTE
        wasQuote = !wasQuote
      } else {
        isQuoted = false
        wasQuote = false
        if (char === QUOTE) isQuoted = true
        else if (char === ',' || char === '\n') {
          fields.push(field)
          field = ''
          if (char === ',') continue
          yield fields
          fields = []
        } else if (char !== '\r') field += char
      }
    }
  }
  if (field === '' && fields.length === 0) return
  yield [...fields, field]
}
