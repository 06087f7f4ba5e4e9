import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CsvTable } from '../../gateway/csv.ts'
import type { Value } from '../../schemas/reading.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'

const [environment] = Registry.load(SHIPPED_SCHEMAS_DIR).streams
assert(environment)
/** Of a stream with one column. */
const TABLE = new CsvTable([{ ...environment, columns: [{ name: 'value', kind: 'string', tag: false }] }])

/** The cell of a value, between the header and the end. */
function cellOf(value: Value, device = 'a'): string {
  const reading = { device, stream: 's', ts: 1, values: { value } }
  const row = TABLE.row(reading)
  const start = `1,${device},s,`
  assert.ok(row.startsWith(start) && row.endsWith('\r\n'), row)
  return row.slice(start.length, -2)
}

test('a text that a spreadsheet would run is told as text, by an apostrophe before it', () => {
  const cells: [text: string, cell: string][] = [
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ['\r=1', `"'\r'=1"`],
    ['\n=1', `"'\n'=1"`],
    ['＝1', "'＝1"],
    // Where the comma is for decimals, a spreadsheet begins a cell after a semicolon, and a row in what is quoted.
    ['a;=1+1;b', "a;'=1+1;b"],
    ['a\r\n=1', `"a\r\n'=1"`],
    ['=HYPERLINK("http://x","y")', `"'=HYPERLINK(""http://x"",""y"")"`],
  ]
  for (const [text, cell] of cells) assert.equal(cellOf(text), cell)
})

test('numbers, and texts that are harmless, stay as they are', () => {
  const cells: [value: Value, cell: string][] = [
    [-1.5, '-1.5'],
    [true, 'true'],
    ['a=b', 'a=b'],
    ['a - b; c', 'a - b; c'],
    ["'a", "'a"],
    ['', ''],
  ]
  for (const [value, cell] of cells) assert.equal(cellOf(value), cell)
})

test('a device may be named so that a spreadsheet would run it', () => {
  const reading = { device: '-2', stream: 's', ts: -3, values: {} }
  assert.equal(TABLE.row(reading), "-3,'-2,s,\r\n")
})
