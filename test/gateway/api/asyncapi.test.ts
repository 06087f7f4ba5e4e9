/** docs/asyncapi.yaml is a valid description, and says what the gateway's own tables say. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import { CLOSE, mayComeBack } from '../../../gateway/live/close-codes.ts'
import { LIVE_API } from './asyncapi.ts'
import { HTTP_API } from './openapi.ts'

const SPECIFICATION = '@asyncapi/specs/schemas/3.0.0-without-$id.json'

test('docs/asyncapi.yaml is valid by the schema of the AsyncAPI Specification 3.0', () => {
  const schema = readFileSync(createRequire(import.meta.url).resolve(SPECIFICATION), 'utf8')
  const ajv = new Ajv({ strict: false, allErrors: true })
  addFormats.default(ajv)
  const isValid = ajv.compile(JSON.parse(schema))
  isValid(LIVE_API.document)
  assert.deepEqual(isValid.errors ?? [], [])
  assert.equal(isValid({ ...LIVE_API.document, channel: {} }), false)
})

test('every schema in it is one, every reference leads somewhere, and every example fits', () => {
  LIVE_API.compileAll()
  const text = JSON.stringify(LIVE_API.document)
  for (const [, pointer = ''] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const found = pointer
      .split('/')
      .reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], LIVE_API.document)
    assert(found !== undefined, pointer)
  }
  const messages = LIVE_API.document.components.messages as Record<string, { examples?: { payload: unknown }[] }>
  for (const { examples = [] } of Object.values(messages))
    for (const { payload } of examples) assert.equal(LIVE_API.problemOfCommand(JSON.stringify(payload)), undefined)
})

test('both descriptions have the same device ids, streams, values and durations', () => {
  for (const name of ['DeviceId', 'StreamName', 'Values', 'Duration', 'Milliseconds'])
    assert.deepEqual(LIVE_API.document.components.schemas?.[name], HTTP_API.document.components.schemas?.[name], name)
})

test('its close codes are those of the gateway, and say alike who should come back', () => {
  const codes = Object.values(CLOSE).map(({ code }) => code)
  assert.deepEqual(LIVE_API.closeCodes('live').sort(), codes.sort())
  for (const code of codes) assert.equal(LIVE_API.comesBack(code), mayComeBack(code), String(code))
})
