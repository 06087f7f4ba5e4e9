/** Owns the option that says how long a token is good. */

import { InvalidArgumentError, Option } from 'commander'
import { TOKEN_TTL_MS_MAX } from '../platform/limits.ts'
import { parseDuration } from '../platform/units.ts'

export function ttlOption(description: string, byDefault: string): Option {
  const option = new Option('--ttl <duration>', `${description}, such as 90s, 15m, 24h, 365d`)
  return option.argParser(parseTtl).default(parseTtl(byDefault), byDefault)
}

function parseTtl(value: string): number {
  const ttl = parseDuration(value)
  if (ttl !== undefined && ttl >= 1_000 && ttl <= TOKEN_TTL_MS_MAX) return ttl
  throw new InvalidArgumentError('Allowed is a duration from 1s to 3650d, such as 15m, 24h, 365d.')
}
