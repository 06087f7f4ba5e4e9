import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { preflight } from '../../cli/preflight.ts'
import { loadSettings } from '../../platform/settings.ts'
import { scratchDirectory } from '../scratch.ts'
import { selfSigned } from '../servers/certificate.ts'

test('the key belongs to the first certificate of the chain; another order, and another key, are said', (t) => {
  const [own, other] = [selfSigned(t), selfSigned(t)]
  const directory = scratchDirectory(t)
  const check = (cert: string, key: string) =>
    preflight(loadSettings({ TELLTALE_DATA_DIR: directory, TELLTALE_TLS_CERT: cert, TELLTALE_TLS_KEY: key }))
  const chain = (...files: string[]) => {
    const file = join(directory, 'chain.pem')
    writeFileSync(file, files.map((each) => `# a comment\n${readFileSync(each, 'utf8')}`).join(''))
    return file
  }
  check(chain(own.cert, other.cert), own.key)
  assert.throws(() => check(chain(other.cert, own.cert), own.key), {
    message: `TELLTALE_TLS_CERT: the first certificate in ${directory}/chain.pem does not belong to the key: the chain must begin with it`,
  })
  assert.throws(() => check(chain(other.cert), own.key), { message: /^TELLTALE_TLS_KEY is ".*which no certificate/ })
})
