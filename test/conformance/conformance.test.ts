import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { requireServer } from '../servers/server.ts'
import { startOurs, startTheirs } from './brokers.ts'
import { MOSQUITTO_DIFFERENCES, OUR_DIFFERENCES } from './differences.ts'
import { CONFORMS, type Results, statements, statements5, statements311, tryStatements } from './results.ts'
import { PAGE, renderPage, withoutMosquitto } from './table.ts'

const differing = (results: Results) =>
  Object.fromEntries([...results].filter(([, found]) => found !== CONFORMS).sort(([a], [b]) => (a < b ? -1 : 1)))

test('every statement has one row, and says why if a server cannot be tried on it', () => {
  const ids = statements.map(({ id }) => id)
  assert.equal(new Set(ids).size, ids.length)
  for (const { id, check, untested } of statements) assert((check === undefined) !== (untested === undefined), id)
  assert.deepEqual([statements311.length, statements5.length], [152, 251])
})

test('our broker does what MQTT 3.1.1 and 5.0 demand, but for what is declared, as the page says', async (t) => {
  const ours = await tryStatements(await startOurs(t))
  assert.deepEqual(Object.keys(differing(ours)), Object.keys(OUR_DIFFERENCES), JSON.stringify(differing(ours), null, 1))
  const page = renderPage({ ours, mosquitto: new Map(), mosquittoVersion: '' })
  assert.equal(withoutMosquitto(page), withoutMosquitto(readFileSync(PAGE, 'utf8')), 'refresh docs/mqtt-conformance.md')
})

test('Mosquitto does what the page says of it', async (t) => {
  const theirs = await requireServer(t, startTheirs)
  if (theirs === undefined) return
  const page = readFileSync(PAGE, 'utf8')
  const mosquitto = await tryStatements(theirs.ports)
  if (!page.includes(`Mosquitto ${theirs.version}.`)) {
    t.diagnostic(
      `the page is of another version than ${theirs.version}, which differs in: ${Object.keys(differing(mosquitto))}`,
    )
    return
  }
  assert.deepEqual(
    Object.keys(differing(mosquitto)),
    Object.keys(MOSQUITTO_DIFFERENCES),
    JSON.stringify(differing(mosquitto)),
  )
})
