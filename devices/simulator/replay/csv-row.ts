/**
 * Owns one row of a CSV file (RFC 4180) as its fields. The apostrophe that the gateway writes before a formula (gateway/csv.ts) is taken
 * away again.
 */

/** Before what a spreadsheet would run: where the gateway writes an apostrophe. */
const ESCAPED = /(?<=^|[;\r\n])'(?=[=+\-@\t＝＋－＠])|^'(?=[\r\n])/g

/** Whether a text ends within quotes: then the row goes on in the next line. */
export function isOpen(text: string): boolean {
  let quotes = 0
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) quotes++
  return quotes % 2 === 1
}

/** The fields of a row without its line end; what stands wrongly quoted is taken as it is. */
export function fieldsOf(row: string): string[] {
  const fields: string[] = []
  for (let at = 0; at <= row.length; ) {
    if (row[at] !== '"') {
      const end = endAt(row.indexOf(',', at), row)
      fields.push(row.slice(at, end))
      at = end + 1
      continue
    }
    const close = closingQuote(row, at + 1)
    const end = endAt(row.indexOf(',', close), row)
    fields.push(row.slice(at + 1, close).replaceAll('""', '"') + row.slice(close + 1, end))
    at = end + 1
  }
  return fields
}

const endAt = (comma: number, row: string): number => (comma < 0 ? row.length : comma)

/** A quote that is doubled is one of the text. */
function closingQuote(row: string, from: number): number {
  for (let at = row.indexOf('"', from); at >= 0; at = row.indexOf('"', at + 2)) if (row[at + 1] !== '"') return at
  return row.length
}

/** A text as it was before it was made harmless. */
export const withoutApostrophe = (field: string): string => (field.includes("'") ? field.replace(ESCAPED, '') : field)
