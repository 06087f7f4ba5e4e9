/**
 * Owns docs/openapi.yaml as the tests hold the gateway against it: an answer that is not described there is an error, and `seen` says
 * which of what is described the tests have seen.
 */

import assert from 'node:assert/strict'
import { readDescription, resolve, type Schema, Schemas } from './schemas.ts'

interface Parameter {
  readonly name: string
  readonly in: 'query' | 'header' | 'path'
  readonly schema: Schema
}

interface Answer {
  readonly headers?: Readonly<Record<string, { readonly required?: boolean; readonly schema: Schema }>>
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>
}

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly (Parameter | { readonly $ref: string })[]
  readonly responses: Readonly<Record<string, Answer | { readonly $ref: string }>>
}

export interface Asked {
  readonly method: string
  /** With the query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
}

/** The head of an answer. */
export interface Head {
  readonly status: number
  readonly headers: Headers
}

/** Of every answer, or of HTTP itself; `server` is that of a proxy before the gateway. */
const EVERYWHERE = new Set([
  ...['access-control-allow-origin', 'access-control-expose-headers', 'cache-control', 'x-content-type-options'],
  ...[
    'connection',
    'content-length',
    'content-type',
    'date',
    'keep-alive',
    'server',
    'transfer-encoding',
    'uwebsockets',
    'vary',
  ],
])

interface Described {
  /** With the method before it, if that is not GET: as it is called in what was seen. */
  readonly path: string
  readonly method: string
  readonly pattern: RegExp
  readonly operation: Operation
}

export class HttpDescription {
  readonly document = readDescription('docs/openapi.yaml')
  readonly schemas = new Schemas(this.document)
  /** What of `described` was seen. */
  readonly seen = new Set<string>()
  readonly #operations: readonly Described[]

  constructor() {
    const paths = this.document.paths as Readonly<Record<string, Readonly<Record<string, Operation>>>>
    this.#operations = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([name, operation]) => {
        const method = name.toUpperCase()
        const pattern = new RegExp(`^${path.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`)
        return { path: method === 'GET' ? path : `${method} ${path}`, method, pattern, operation }
      }),
    )
  }

  /** Everything that a test can see: parameters, answers by their type, errors by their code. */
  described(): string[] {
    return this.#operations.flatMap(({ path, operation }) => [
      ...this.#parametersOf(operation).map((parameter) => unitOfParameter(path, parameter)),
      ...Object.keys(operation.responses).flatMap((status) =>
        this.#unitsOfAnswer(path, status, this.#answerOf(operation, status)),
      ),
    ])
  }

  /** Throws if the answer is not described. `body` is undefined where it did not come whole, or was not asked for. */
  check(asked: Asked, { status, headers }: Head, body: string | undefined): void {
    const [path = '', query = ''] = asked.target.split('?')
    const what = `${asked.method} ${asked.target} ${status}`
    const atPath = this.#operations.filter(({ pattern }) => pattern.test(path))
    const found = atPath.find(({ method }) => method === (asked.method === 'HEAD' ? 'GET' : asked.method))
    if (found === undefined) {
      this.#checkUndescribed(what, asked.method, atPath.length > 0, status, body)
      return
    }
    const answer = this.#answerOf(found.operation, String(status))
    if (status < 400) {
      this.#checkParameters(what, found, {
        query,
        headers: asked.headers,
        path: found.pattern.exec(path)?.groups ?? {},
      })
    }
    this.#checkHeaders(what, answer, headers)
    const type = headers.get('content-type')
    if (answer.content === undefined) {
      assert.equal(body ?? '', '', `${what} has no body`)
      this.seen.add(`${found.path} ${status}`)
      return
    }
    const content = answer.content[type ?? '']
    assert(content !== undefined, `${what} has the type ${type}: docs/openapi.yaml has ${Object.keys(answer.content)}`)
    if (type?.startsWith('text/event-stream')) this.seen.add(`${found.path} ${status} ${type}`)
    if (body === undefined || asked.method === 'HEAD') return
    const value = type?.startsWith('application/json') ? JSON.parse(body) : body
    const problem = this.schemas.problem(content.schema, value)
    assert(problem === undefined, `${what} is not as docs/openapi.yaml says: ${problem}`)
    const code: unknown = codesOf(content.schema).length > 0 ? value.error.code : type
    this.seen.add(`${found.path} ${status} ${code}`)
  }

  /** Throws if a schema is none. */
  compileAll(): void {
    for (const { operation } of this.#operations) {
      for (const { schema } of this.#parametersOf(operation)) this.schemas.compile(schema)
      for (const status of Object.keys(operation.responses)) {
        const { headers = {}, content = {} } = this.#answerOf(operation, status)
        for (const header of Object.values(headers)) this.schemas.compile(resolve(this.document, header).schema)
        for (const { schema } of Object.values(content)) this.schemas.compile(schema)
      }
    }
  }

  #answerOf(operation: Operation, status: string): Answer {
    const answer = operation.responses[status]
    assert(answer !== undefined, `docs/openapi.yaml has the status ${status} of ${operation.operationId}`)
    return resolve(this.document, answer)
  }

  #parametersOf(operation: Operation): Parameter[] {
    return (operation.parameters ?? []).map((parameter) => resolve(this.document, parameter))
  }

  #unitsOfAnswer(path: string, status: string, { content = {} }: Answer): string[] {
    const types = Object.entries(content)
    if (types.length === 0) return [`${path} ${status}`]
    return types.flatMap(([type, { schema }]) => {
      const codes = codesOf(schema)
      return (codes.length > 0 ? codes : [type]).map((code) => `${path} ${status} ${code}`)
    })
  }

  /** What was taken is described, and fits its schema. */
  #checkParameters(
    what: string,
    { path, operation }: Pick<Described, 'path' | 'operation'>,
    given: {
      readonly query: string
      readonly headers: Asked['headers']
      readonly path: Readonly<Record<string, string>>
    },
  ): void {
    const query = readQuery(given.query)
    const headers = new Headers(given.headers)
    const parameters = this.#parametersOf(operation)
    for (const parameter of parameters) {
      const { name, in: place } = parameter
      const value = place === 'header' ? headers.get(name) : place === 'path' ? given.path[name] : query.get(name)
      if (value === null || value === undefined) continue
      const problem = this.schemas.problem(parameter.schema, this.#valueOf(parameter, value))
      assert(problem === undefined, `${what} was taken, but docs/openapi.yaml says of ${name}: ${problem}`)
      this.seen.add(unitOfParameter(path, parameter))
    }
    for (const name of query.keys()) {
      const isKnown = name === 'access_token' || parameters.some((each) => each.in === 'query' && each.name === name)
      assert(isKnown, `${what} has the parameter ${name}, which docs/openapi.yaml has not`)
    }
  }

  /** As its schema has it, of what stands in a request. */
  #valueOf(parameter: Parameter, given: string | readonly string[]): unknown {
    const { type } = resolve<Schema>(this.document, parameter.schema)
    if (type === 'array') return given
    const text = typeof given === 'string' ? given : given[0]
    return type === 'integer' || type === 'number' ? Number(text) : text
  }

  #checkHeaders(what: string, answer: Answer, headers: Headers): void {
    const described = Object.entries(answer.headers ?? {}).map(
      ([name, header]) => [name.toLowerCase(), resolve(this.document, header)] as const,
    )
    for (const [name, { required = false, schema }] of described) {
      const value = headers.get(name)
      if (value === null) assert(!required, `${what} has the header ${name}`)
      else assert.equal(this.schemas.problem(schema, value), undefined, `${what}: ${name}`)
    }
    for (const name of headers.keys()) {
      const isKnown = EVERYWHERE.has(name) || described.some(([own]) => own === name)
      assert(isKnown, `${what} has the header ${name}, which docs/openapi.yaml has not`)
    }
  }

  /** As `info.description` says of what is no operation. */
  #checkUndescribed(what: string, method: string, isPath: boolean, status: number, body: string | undefined): void {
    if (isPath && method === 'OPTIONS' && status === 204) return
    const allowed = isPath ? { 405: 'method-not-allowed', 503: 'too-busy' } : { 404: 'not-found' }
    const code = new Map(Object.entries({ ...allowed, 403: 'foreign-page' })).get(String(status))
    assert(code !== undefined, `${what} is not in docs/openapi.yaml`)
    if (body === undefined || method === 'HEAD') return
    const { error } = JSON.parse(body) as { error: { code: string } }
    assert.equal(this.schemas.problem({ $ref: '#/components/schemas/Error' }, { error }), undefined)
    assert.equal(error.code, code, what)
  }
}

const unitOfParameter = (path: string, { in: place, name }: Parameter) => `${path} ${place} ${name}`

/** The codes of an error's schema; none if it is of no error. */
function codesOf(schema: Schema): readonly string[] {
  const { error } = (schema.properties ?? {}) as { error?: { properties?: { code?: { enum?: string[] } } } }
  return error?.properties?.code?.enum ?? []
}

/** A `+` stays one. Empty values count as absent. */
function readQuery(query: string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const part of query.split('&')) {
    const [name = '', ...value] = part.split('=').map(decodeURIComponent)
    const text = value.join('=')
    if (text !== '') found.set(name, [...(found.get(name) ?? []), text])
  }
  return found
}

/** Compiled once in a process. */
export const HTTP_API = new HttpDescription()

/** The answers that one gateway gave. What is wrong with them is told at the end, for a test may wait for what it asked. */
export class CheckedAnswers {
  readonly #problems: Promise<unknown>[] = []

  /** The body is looked at when it has come. */
  take(asked: Asked, response: Response): void {
    this.#problems.push(problemOf(asked, response, undefined))
    // Endless, and looked at by its events.
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) return
    const body = response.clone().text()
    this.#problems.push(
      body.then(
        (text) => problemOf(asked, response, text),
        () => undefined, // It was cut, which some tests want.
      ),
    )
  }

  /** Rejects with the first thing that was not as described. */
  async end(): Promise<void> {
    const problem = (await Promise.all(this.#problems)).find((each) => each !== undefined)
    if (problem !== undefined) throw problem
  }
}

async function problemOf(asked: Asked, head: Head, body: string | undefined): Promise<unknown> {
  try {
    HTTP_API.check(asked, head, body)
  } catch (error) {
    return error
  }
}
