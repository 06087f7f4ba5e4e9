/**
 * Owns the keys of an installation, which are files of one directory:
 *
 *     signing.key         signs tokens (32 bytes in base64url)
 *     retired-<kid>.key   signed them once and still verifies, until the time on its second line or until it is removed
 *     <name>.pem          a public key that was added (SPKI; ES256 or EdDSA), and its scope (`scope.ts`)
 *
 * A key's id (`kid`) is the beginning of its SHA-256, so no file needs to say it.
 *
 * Always true: a file is whole or not there; a key that signed a token is there as long as the token is good, or was removed by
 * a person; a file that others can change, or a secret that they can read, is not used.
 * Bound: `KEYS_MAX`; one more is refused. A retired key is dropped when its time has come.
 */

import { createHash, createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { messageOf } from '../platform/errors.ts'
import { makeDirectory, makeFile, replaceFile } from '../platform/files.ts'
import { IdentityError } from './errors.ts'
import { readScope, type Scope, writeScope } from './scope.ts'

/** Keys of all kinds. */
const KEYS_MAX = 32
const SIGNING_KEY_BYTES = 32
/** Of hexadecimal. */
const KID_CHARS = 12
/** Bits of a file's mode by which others read or write it, or write it. */
const OTHERS = 0o077
const OTHERS_WRITE = 0o022

const SIGNING_FILE = 'signing.key'
const RETIRED = /^retired-[0-9a-f]+\.key$/
const ADDED = /^[\w.-]{1,64}\.pem$/
const BEGIN = '-----BEGIN'

/** A key that signs, or did. */
export interface OwnKey {
  readonly kid: string
  readonly file: string
  readonly secret: Uint8Array
  /** When it verifies no more, milliseconds since 1970-01-01T00:00Z; infinite for the one that signs. */
  readonly until: number
}

export interface AddedKey {
  readonly kid: string
  readonly file: string
  readonly key: KeyObject
  readonly algorithm: 'ES256' | 'EdDSA'
  /** Undefined: its tokens may name anything. */
  readonly scope: Scope | undefined
}

export interface Keys {
  readonly signing: OwnKey
  /** By id; the one that signs, too. */
  readonly own: ReadonlyMap<string, OwnKey>
  readonly added: ReadonlyMap<string, AddedKey>
}

export class KeyFiles {
  readonly #directory: string
  #texts = ''
  #keys: Keys | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Makes the directory and the signing key where they are missing; true if the key was. */
  prepare(): boolean {
    const file = join(this.#directory, SIGNING_FILE)
    try {
      makeDirectory(this.#directory)
      // Most starts find one; they need not write anything, so they do on a full disk too.
      return !existsSync(file) && makeFile(file, newSecret())
    } catch (cause) {
      throw new IdentityError('bad-key', `the signing key ${file} cannot be made: ${messageOf(cause)}`, { cause })
    }
  }

  /** What the files hold now. Throws an `IdentityError` `bad-key` for one that is no key, or that others can use. */
  read(): Keys {
    // The signing key first: who rotates has the old one stand among the retired before it is replaced.
    const texts = new Map([[SIGNING_FILE, readOwn(join(this.#directory, SIGNING_FILE), OTHERS) ?? '']])
    requireOwn(this.#directory, OTHERS_WRITE)
    for (const name of readdirSync(this.#directory).sort()) {
      if (!RETIRED.test(name) && !ADDED.test(name)) continue
      const text = readOwn(join(this.#directory, name), RETIRED.test(name) ? OTHERS : OTHERS_WRITE)
      if (text !== undefined) texts.set(name, text)
    }
    const all = JSON.stringify([...texts])
    if (this.#keys === undefined || all !== this.#texts) this.#keys = this.#parse(texts)
    this.#texts = all
    return this.#keys
  }

  /** Makes a new signing key; the one of before verifies until then. */
  rotate(until: number): { readonly signing: OwnKey; readonly retired: OwnKey } {
    const { signing } = this.read()
    this.#requireRoom()
    const secret = Buffer.from(signing.secret).toString('base64url')
    const retired = `${secret}\nuntil ${new Date(until).toISOString()}\n`
    makeFile(join(this.#directory, `retired-${signing.kid}.key`), retired)
    replaceFile(join(this.#directory, SIGNING_FILE), newSecret())
    return { signing: this.read().signing, retired: signing }
  }

  /** Adds the public key in the PEM file `source` as `<name>.pem`. */
  add(source: string, name: string, scope: Scope): AddedKey {
    const file = join(this.#directory, `${name}.pem`)
    if (!ADDED.test(basename(file))) {
      throw new IdentityError('bad-key', `the key's name is "${name}": allowed are 1 to 64 of A-Z a-z 0-9 . _ -`)
    }
    const key = readPublicKey(readText(source), source)
    algorithmOf(key, source)
    const known = this.read().added.get(kidOf(spki(key)))
    if (known !== undefined) throw new IdentityError('bad-key', `the key ${source} is there already, as ${known.file}`)
    this.#requireRoom()
    if (!makeFile(file, `${writeScope(scope)}${key.export({ type: 'spki', format: 'pem' })}`)) {
      throw new IdentityError(
        'bad-key',
        `there is a key ${name} already: telltale keys remove ${name}, or --name another`,
      )
    }
    const added = this.read().added.get(kidOf(spki(key)))
    if (added === undefined) throw new IdentityError('bad-key', `${file} was removed by another process`)
    return added
  }

  /** Removes a retired or an added key by its id or name. */
  remove(name: string): void {
    const { signing, own, added } = this.read()
    if (name === signing.kid) {
      throw new IdentityError(
        'bad-key',
        `${name} is the key that signs: telltale keys rotate makes another, then remove it`,
      )
    }
    const key = own.get(name) ?? [...added.values()].find(({ kid, file }) => kid === name || keyName(file) === name)
    if (key === undefined) throw new IdentityError('bad-key', `there is no key ${name}: telltale keys list shows them`)
    rmSync(key.file)
  }

  /** Removes the retired keys whose time has come. */
  dropExpired(now: number): void {
    for (const { file, until } of this.read().own.values()) if (until <= now) rmSync(file, { force: true })
  }

  #requireRoom(): void {
    const { own, added } = this.read()
    if (own.size + added.size < KEYS_MAX) return
    throw new IdentityError('too-many', `there are ${KEYS_MAX} keys, and no more are taken: telltale keys remove one`)
  }

  #parse(texts: ReadonlyMap<string, string>): Keys {
    if (texts.size > KEYS_MAX) {
      throw new IdentityError('bad-key', `${this.#directory} has ${texts.size} keys: allowed are ${KEYS_MAX}`)
    }
    const own = new Map<string, OwnKey>()
    const added = new Map<string, AddedKey>()
    for (const [name, text] of texts) {
      const file = join(this.#directory, name)
      if (!name.endsWith('.pem')) {
        const key = parseOwn(text, file)
        // While it is being replaced the signing key stands among the retired, too.
        if (!own.has(key.kid)) own.set(key.kid, key)
        continue
      }
      const key = readPublicKey(text, file)
      const kid = kidOf(spki(key))
      const same = added.get(kid)
      if (same !== undefined) throw new IdentityError('bad-key', `${file} and ${same.file} hold the same key`)
      const scope = readScope(text.slice(0, text.indexOf(BEGIN)), file)
      added.set(kid, { kid, file, key, algorithm: algorithmOf(key, file), scope })
    }
    const [signing] = own.values()
    if (signing === undefined) throw new IdentityError('bad-key', `${this.#directory} has no ${SIGNING_FILE}`)
    return { signing, own, added }
  }
}

export const keyName = (file: string): string => basename(file, '.pem')

const newSecret = () => `${randomBytes(SIGNING_KEY_BYTES).toString('base64url')}\n`
const kidOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, KID_CHARS)
const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'der' })

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new IdentityError('bad-key', `${file} cannot be read: ${messageOf(cause)}`, { cause })
  }
}

/** The text of a file that others cannot use; undefined if it is gone. */
function readOwn(file: string, forbidden: number): string | undefined {
  try {
    requireOwn(file, forbidden)
    return readFileSync(file, 'utf8')
  } catch (cause) {
    if (cause instanceof IdentityError) throw cause
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT' && basename(file) !== SIGNING_FILE) return undefined
    throw new IdentityError('bad-key', `${file} cannot be read: ${messageOf(cause)}`, { cause })
  }
}

function requireOwn(path: string, forbidden: number): void {
  const { mode } = statSync(path)
  if ((mode & forbidden) === 0) return
  const what = (mode & OTHERS_WRITE) === 0 ? 'read' : 'written'
  const octal = (mode & 0o777).toString(8).padStart(4, '0')
  const mend = `chmod ${(mode & 0o777 & ~forbidden).toString(8)} ${path}`
  throw new IdentityError('bad-key', `${path} can be ${what} by others (mode ${octal}): ${mend}`)
}

function parseOwn(text: string, file: string): OwnKey {
  const [first = '', second = ''] = text.trim().split('\n')
  const secret = Buffer.from(first.trim(), 'base64url')
  if (secret.length !== SIGNING_KEY_BYTES) {
    throw new IdentityError('bad-key', `${file} is no key: it must hold ${SIGNING_KEY_BYTES} bytes in base64url`)
  }
  const isRetired = basename(file) !== SIGNING_FILE
  const until = isRetired ? Date.parse(second.replace(/^until /, '')) : Number.POSITIVE_INFINITY
  if (Number.isNaN(until)) throw new IdentityError('bad-key', `${file} must say "until <time>" on its second line`)
  return { kid: kidOf(secret), file, secret, until }
}

function readPublicKey(text: string, file: string): KeyObject {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
    throw new IdentityError(
      'bad-key',
      `${file} is a private key, which belongs to who makes the tokens: add its public key`,
    )
  }
  try {
    return createPublicKey(text.slice(Math.max(0, text.indexOf(BEGIN))))
  } catch (cause) {
    throw new IdentityError('bad-key', `${file} is no public key in PEM (SPKI)`, { cause })
  }
}

function algorithmOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject, file: string) {
  if (type === 'ed25519') return 'EdDSA'
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256'
  const what = [type, details?.namedCurve].filter(Boolean).join(' ')
  throw new IdentityError('bad-key', `${file} is a key of ${what}: allowed are EC P-256 (ES256) and Ed25519 (EdDSA)`)
}
