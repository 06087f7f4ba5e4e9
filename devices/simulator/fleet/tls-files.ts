/**
 * Owns the reading of what devices trust and show over TLS: PEM files, of which `--cert` and `--key` may be one for each device. Always true: a
 * file that cannot be read is named before anything connects; what is all devices' is read once.
 */

import { readFileSync } from 'node:fs'
import { messageOf } from '../../../platform/errors.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { TlsOptions } from './mqtt-client.ts'

/** In the name of a file it stands for the id of the device that shows it. */
const DEVICE = '{device}'

export interface TlsFileNames {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

export class TlsFiles {
  readonly #names: TlsFileNames
  readonly #shared = new Map<string, Buffer>()

  /** Throws a `SimulatorError` `bad-option`. */
  constructor(names: TlsFileNames) {
    if ((names.cert === undefined) !== (names.key === undefined))
      throw new SimulatorError('bad-option', '--cert and --key belong together')
    this.#names = names
  }

  /** Throws a `SimulatorError` `bad-option`. */
  of(device: string): TlsOptions {
    const { ca, cert, key } = this.#names
    return {
      ...(ca !== undefined && { ca: this.#read('--ca', ca) }),
      ...(cert !== undefined && { cert: this.#readOf(device, '--cert', cert) }),
      ...(key !== undefined && { key: this.#readOf(device, '--key', key) }),
    }
  }

  #readOf(device: string, option: string, name: string): Buffer {
    if (!name.includes(DEVICE)) return this.#read(option, name)
    return read(`${option} of ${device}`, name.replaceAll(DEVICE, device))
  }

  #read(option: string, name: string): Buffer {
    const bytes = this.#shared.get(name) ?? read(option, name)
    this.#shared.set(name, bytes)
    return bytes
  }
}

function read(what: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new SimulatorError('bad-option', `${what} is ${file}, which cannot be read: ${messageOf(cause)}`, { cause })
  }
}
