/**
 * Owns how the gateway says no over HTTP: a status, a code that programs can test, and a sentence that names what was
 * wrong, its value, and what is allowed. The body is `{"error":{"code","message"}}`.
 */

import { TelltaleError } from '../platform/errors.ts'

const STATUS = {
  'bad-parameter': '400 Bad Request',
  'bad-subprotocol': '400 Bad Request',
  'token-missing': '401 Unauthorized',
  'token-invalid': '401 Unauthorized',
  'token-expired': '401 Unauthorized',
  'token-revoked': '401 Unauthorized',
  forbidden: '403 Forbidden',
  'foreign-page': '403 Forbidden',
  'not-an-app': '403 Forbidden',
  'not-found': '404 Not Found',
  'method-not-allowed': '405 Method Not Allowed',
  'schema-incompatible': '409 Conflict',
  'command-over': '409 Conflict',
  'device-commands-full': '409 Conflict',
  'body-too-large': '413 Content Too Large',
  'command-invalid': '422 Unprocessable Content',
  'schema-invalid': '422 Unprocessable Content',
  'selection-invalid': '422 Unprocessable Content',
  'upgrade-required': '426 Upgrade Required',
  'too-many-sockets': '429 Too Many Requests',
  'too-many-queries': '429 Too Many Requests',
  'too-many-commands': '429 Too Many Requests',
  internal: '500 Internal Server Error',
  'history-unsupported': '501 Not Implemented',
  'store-unavailable': '503 Service Unavailable',
  'store-busy': '503 Service Unavailable',
  'store-refused': '503 Service Unavailable',
  'schemas-unwritable': '503 Service Unavailable',
  'commands-full': '503 Service Unavailable',
  'log-full': '503 Service Unavailable',
  'too-busy': '503 Service Unavailable',
  'not-ready': '503 Service Unavailable',
} as const

export type RefusalCode = keyof typeof STATUS

const isRefusalCode = (code: string): code is RefusalCode => Object.hasOwn(STATUS, code)

export class Refusal extends TelltaleError {
  override readonly code: RefusalCode
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: RefusalCode,
    message: string,
    options: { readonly cause?: unknown; readonly headers?: Record<string, string> } = {},
  ) {
    super(code, message, options)
    this.code = code
    this.headers = { ...ALWAYS_WITH[code], ...options.headers }
  }

  get status(): string {
    return STATUS[this.code]
  }

  get body(): string {
    return JSON.stringify({ error: { code: this.code, message: this.message } })
  }
}

const CHALLENGE = 'Bearer realm="telltale"'
const SECONDS_BEFORE_RETRY = '2'

const ALWAYS_WITH: Partial<Record<RefusalCode, Record<string, string>>> = {
  'token-missing': { 'WWW-Authenticate': CHALLENGE },
  'token-invalid': { 'WWW-Authenticate': `${CHALLENGE}, error="invalid_token"` },
  'token-expired': { 'WWW-Authenticate': `${CHALLENGE}, error="invalid_token"` },
  'token-revoked': { 'WWW-Authenticate': `${CHALLENGE}, error="invalid_token"` },
  'upgrade-required': { Upgrade: 'websocket' },
  'store-unavailable': { 'Retry-After': SECONDS_BEFORE_RETRY },
  'store-busy': { 'Retry-After': SECONDS_BEFORE_RETRY },
  'too-many-queries': { 'Retry-After': SECONDS_BEFORE_RETRY },
  'too-many-sockets': { 'Retry-After': SECONDS_BEFORE_RETRY },
  'too-many-commands': { 'Retry-After': SECONDS_BEFORE_RETRY },
  'commands-full': { 'Retry-After': SECONDS_BEFORE_RETRY },
  'log-full': { 'Retry-After': SECONDS_BEFORE_RETRY },
  'too-busy': { 'Retry-After': SECONDS_BEFORE_RETRY },
  'not-ready': { 'Retry-After': SECONDS_BEFORE_RETRY },
}

/** A refusal of one parameter: its name, what was given, what is allowed. */
export function badParameter(name: string, value: string, allowed: string): Refusal {
  return new Refusal('bad-parameter', `${name} is ${JSON.stringify(value)}: allowed is ${allowed}`)
}

/** When all connections are taken (`Connections`). */
export const fullRefusal = (): Refusal =>
  new Refusal('too-busy', 'as many connections are open as may be: try again in a moment')

/** Whatever was thrown, as the refusal to answer with; undefined if it is our own mistake. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (error instanceof TelltaleError && isRefusalCode(error.code)) {
    return new Refusal(error.code, error.message, { cause: error })
  }
  return undefined
}
