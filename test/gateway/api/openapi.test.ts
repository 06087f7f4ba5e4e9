/** docs/openapi.yaml is a valid description. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { HTTP_API } from './openapi.ts'

test('docs/openapi.yaml is valid by the schema of the OpenAPI Specification 3.1', async () => {
  const { valid, errors } = await new Validator().validate(HTTP_API.document)
  assert.deepEqual([valid, errors], [true, undefined])
})

test('every schema in it is one, with no keyword misspelt', () => {
  HTTP_API.compileAll()
})
