/** docs/websocket-conformance.md gives a reason for every difference that `npm run conformance:ws` accepts. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DIFFERENCES } from './differences.ts'
import { PAGE } from './table.ts'

test('the page says what is declared', () => {
  const page = readFileSync(PAGE, 'utf8')
  for (const { cases, behavior, why } of DIFFERENCES) assert(page.includes(`| ${behavior} | ${why} |`), cases.join(' '))
})
