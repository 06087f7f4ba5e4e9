/**
 * Owns noticing that the files of a certificate were renewed: whoever serves by them is told, and need not be restarted.
 *
 * Always true: what is looked at is what the files hold, so it does not matter how they were replaced (a rename, a link, an edit).
 * Files that do not go together change nothing, and are told once; the next look may find the other half of the renewal.
 * Looks each `LOOK_MS`, and when it is asked to.
 */

import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { messageOf, TelltaleError } from './errors.ts'
import type { Part } from './lifecycle.ts'
import type { Logger } from './logger.ts'

const LOOK_MS = 1_000
const CRL = /-----BEGIN X509 CRL-----.*?-----END X509 CRL-----/gs

/** `bad-certificate`: a file cannot be read, or is not what it should be. */
export class CertificateError extends TelltaleError {}

export interface CertificateFiles {
  readonly cert: string
  readonly key: string
  /** Clients must show a certificate of this authority. */
  readonly ca?: string | undefined
  /** Certificates that the authority has revoked. */
  readonly crl?: string | undefined
}

export interface Pems {
  readonly cert: string
  readonly key: string
  readonly ca?: string
  readonly crl?: string[]
}

/** What the files hold. Throws a `CertificateError` if one cannot be read or used, or they do not go together. */
export function readCertificate(files: CertificateFiles): Pems {
  const pems = readPems(files)
  attempt(files, () => createSecureContext(pems))
  return pems
}

function readPems(files: CertificateFiles): Pems {
  const { cert, key, ca, crl } = files
  return attempt(files, () => ({
    cert: readFileSync(cert, 'utf8'),
    key: readFileSync(key, 'utf8'),
    ...(ca !== undefined && { ca: readFileSync(ca, 'utf8') }),
    // Node takes one list of each text it is given; a text without one it refuses.
    ...(crl !== undefined && { crl: readFileSync(crl, 'utf8').match(CRL) ?? ['none'] }),
  }))
}

function attempt<T>({ cert, key, ca, crl }: CertificateFiles, use: () => T): T {
  try {
    return use()
  } catch (cause) {
    const files = [cert, key, ca, crl].filter((file) => file !== undefined).join(', ')
    const problem = messageOf(cause).split('\n')[0]
    throw new CertificateError('bad-certificate', `the TLS files ${files} cannot be used: ${problem}`, { cause })
  }
}

export class CertificateWatch implements Part {
  readonly name = 'certificate'
  readonly #files: CertificateFiles
  readonly #renew: (pems: Pems) => void
  readonly #logger: Logger
  /** What the files held when they were used last; empty after a failure. */
  #last = ''
  #told = ''
  #looking: NodeJS.Timeout | undefined

  /** `renew` has new connections served by what the files hold now; it may throw. */
  constructor(
    files: CertificateFiles,
    { renew, logger }: { readonly renew: (pems: Pems) => void; readonly logger: Logger },
  ) {
    this.#files = files
    this.#renew = renew
    this.#logger = logger
  }

  async start(): Promise<void> {
    this.#last = JSON.stringify(readCertificate(this.#files))
    this.#looking = setInterval(() => this.look(), LOOK_MS).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#looking)
  }

  look(): void {
    try {
      const seen = JSON.stringify(readPems(this.#files))
      if (seen === this.#last) return
      this.#last = seen
      this.#renew(readCertificate(this.#files))
      this.#logger.info({ file: this.#files.cert }, 'the certificate was renewed: new connections are served by it')
    } catch (error) {
      const problem = messageOf(error)
      if (problem !== this.#told) this.#logger.error(`${problem}; the certificate of before is still served`)
      this.#told = problem
      // The next look tries again: a port may be free then.
      this.#last = ''
      return
    }
    this.#told = ''
  }
}
