/**
 * Owns what can be told of the settings by looking at the disk, before anything starts: each problem is one line that
 * names the variable, its value and what is allowed.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { readCertificate } from '../platform/certificate-watch.ts'
import { messageOf } from '../platform/errors.ts'
import type { Settings } from '../platform/settings.ts'
import { SettingsError } from '../platform/settings-error.ts'

/** Each certificate of a PEM file. */
const CERTIFICATES = /-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END (TRUSTED |X509 )?CERTIFICATE-----/g

/** Throws a `SettingsError`; makes the data directory if it is missing. */
export function preflight(settings: Settings): void {
  check('TELLTALE_DATA_DIR', settings.dataDir, 'a directory that can be written', () => {
    makeDirectory(resolve(settings.dataDir))
    accessSync(settings.dataDir, constants.W_OK)
  })
  const { schemasDir, tlsCert, tlsKey, tlsCa, tlsCrl } = settings
  checkBridge(settings)
  if (schemasDir !== undefined) {
    check('TELLTALE_SCHEMAS_DIR', schemasDir, 'a directory of <stream>/<n>.avsc or .proto', () =>
      requireDirectory(schemasDir),
    )
  }
  if (tlsCert === undefined || tlsKey === undefined) return
  check('TELLTALE_TLS_CERT', tlsCert, 'a PEM file', () => createSecureContext({ cert: readFileSync(tlsCert) }))
  check('TELLTALE_TLS_KEY', tlsKey, 'a PEM file', () => createSecureContext({ key: readFileSync(tlsKey) }))
  requireKeyOfFirst(tlsCert, tlsKey)
  if (tlsCa !== undefined) {
    check('TELLTALE_TLS_CA', tlsCa, 'a PEM file', () => createSecureContext({ ca: readFileSync(tlsCa) }))
  }
  if (tlsCrl !== undefined) {
    const files = { cert: tlsCert, key: tlsKey, crl: tlsCrl }
    check('TELLTALE_TLS_CRL', tlsCrl, 'a PEM file of X509 CRL', () => readCertificate(files))
  }
}

function checkBridge({ bridgeCa, bridgeCert, bridgeKey }: Settings): void {
  if (bridgeCa !== undefined)
    check('TELLTALE_BRIDGE_CA', bridgeCa, 'a PEM file', () => createSecureContext({ ca: readFileSync(bridgeCa) }))
  if (bridgeCert === undefined || bridgeKey === undefined) return
  check('TELLTALE_BRIDGE_CERT', bridgeCert, 'a PEM file, and its key in TELLTALE_BRIDGE_KEY', () =>
    createSecureContext({ cert: readFileSync(bridgeCert), key: readFileSync(bridgeKey) }),
  )
}

/** OpenSSL takes the first certificate of the file for the server's own, and blames the key for a chain in another order. */
function requireKeyOfFirst(tlsCert: string, tlsKey: string): void {
  const key = createPrivateKey(readFileSync(tlsKey))
  const chain = readFileSync(tlsCert, 'utf8').match(CERTIFICATES) ?? []
  const at = chain.findIndex((pem) => new X509Certificate(pem).checkPrivateKey(key))
  if (at === 0) return
  const message =
    at > 0
      ? `TELLTALE_TLS_CERT: the first certificate in ${tlsCert} does not belong to the key: the chain must begin with it`
      : `TELLTALE_TLS_KEY is "${tlsKey}", which no certificate belongs to: allowed is the key of TELLTALE_TLS_CERT, ${tlsCert}`
  throw new SettingsError('bad-setting', message)
}

function check(variable: string, value: string, allowed: string, use: () => void): void {
  try {
    use()
  } catch (cause) {
    const problem = messageOf(cause).split('\n')[0]
    throw new SettingsError('bad-setting', `${variable} is "${value}" (${problem}): allowed is ${allowed}`, { cause })
  }
}

/** As `mkdir -p`; by itself, since that of Node 20 never returns below a directory like `/proc`. */
function makeDirectory(path: string): void {
  if (existsSync(path)) {
    requireDirectory(path)
    return
  }
  makeDirectory(dirname(path))
  mkdirSync(path, { mode: 0o700 })
}

function requireDirectory(path: string): void {
  if (!statSync(path).isDirectory()) throw new Error('not a directory')
}
