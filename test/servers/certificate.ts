/** Owns certificates for tests: a self-signed one of localhost, and an authority's; in a directory that goes with the test. */

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { scratchDirectory } from '../scratch.ts'

export function selfSigned(t: TestContext): { readonly cert: string; readonly key: string } {
  const directory = scratchDirectory(t)
  const cert = join(directory, 'cert.pem')
  const key = join(directory, 'key.pem')
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '1',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject,
    ],
    { stdio: 'ignore' },
  )
  return { cert, key }
}

/** An authority that makes certificates for clients, and lists those that it revoked. */
export class Authority {
  readonly cert: string
  /** The list, which is there from the start and has nobody in it. */
  readonly crl: string
  readonly #directory: string
  #made = 0

  constructor(t: TestContext) {
    this.#directory = scratchDirectory(t)
    this.cert = join(this.#directory, 'ca.pem')
    this.crl = join(this.#directory, 'crl.pem')
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key']
    this.#openssl('req', '-x509', ...key, '-days', '2', '-out', 'ca.pem', '-subj', '/CN=Fleet authority')
    writeFileSync(join(this.#directory, 'index.txt'), '')
    writeFileSync(join(this.#directory, 'crlnumber'), '01')
    const sections = '[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256'
    writeFileSync(join(this.#directory, 'ca.cnf'), `${sections}\ndefault_crl_days=2\n`)
    this.#list()
  }

  /** A client's certificate and key; `days` may be negative. */
  issue(
    subject: string,
    { days = 1, san = '' } = {},
  ): { readonly cert: string; readonly key: string; readonly file: string } {
    const name = `client-${++this.#made}`
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`]
    this.#openssl('req', ...key, '-out', `${name}.csr`, '-subj', subject)
    writeFileSync(join(this.#directory, 'ext.cnf'), san === '' ? '' : `subjectAltName=${san}`)
    const by = [
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-set_serial',
      String(0x100000 + this.#made),
      '-extfile',
      'ext.cnf',
    ]
    this.#openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, '-days', String(days), ...by)
    const read = (file: string) => readFileSync(join(this.#directory, file), 'utf8')
    return { cert: read(`${name}.pem`), key: read(`${name}.key`), file: `${name}.pem` }
  }

  revoke({ file }: { readonly file: string }): void {
    this.#openssl('ca', '-config', 'ca.cnf', '-revoke', file, '-keyfile', 'ca.key', '-cert', 'ca.pem')
    this.#list()
  }

  #list(): void {
    this.#openssl('ca', '-config', 'ca.cnf', '-gencrl', '-out', 'crl.pem', '-keyfile', 'ca.key', '-cert', 'ca.pem')
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#directory, stdio: 'pipe' })
  }
}
