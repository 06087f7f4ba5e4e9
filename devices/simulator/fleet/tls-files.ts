/** Owns the reading of what devices trust and show over TLS. Always true: a file that cannot be read is named before anything connects. */

import { readFileSync } from 'node:fs'
import { messageOf } from '../../../platform/errors.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { TlsOptions } from './connection.ts'

/** Of PEM files. Throws a `SimulatorError` `bad-option`. */
export function readTls(files: {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}): TlsOptions {
  if ((files.cert === undefined) !== (files.key === undefined))
    throw new SimulatorError('bad-option', '--cert and --key belong together')
  return {
    ...(files.ca !== undefined && { ca: read('--ca', files.ca) }),
    ...(files.cert !== undefined && { cert: read('--cert', files.cert) }),
    ...(files.key !== undefined && { key: read('--key', files.key) }),
  }
}

function read(option: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new SimulatorError('bad-option', `${option} is ${file}, which cannot be read: ${messageOf(cause)}`, { cause })
  }
}
