/**
 * Owns what was revoked: of a device, or of the app's token with this id, all tokens issued before a time. Each revocation is an
 * empty file `<id>,<seconds since 1970>` in the directory `revoked`: to revoke is to make a file, so no two processes can undo
 * what the other does, and no power cut leaves half of it.
 *
 * Bound: `REVOCATIONS_MAX`; one more is refused. One is dropped when no token from before it can be good any more.
 */

import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../platform/errors.ts'
import { makeDirectory, makeFile } from '../platform/files.ts'
import { TOKEN_TTL_MS_MAX } from '../platform/limits.ts'
import { IdentityError } from './errors.ts'
import { isDeviceId } from './topics.ts'

const REVOCATIONS_MAX = 10_000
const FILE = /^(.+),(\d{1,12})$/

export interface Revocation {
  readonly id: string
  /** Tokens issued before are revoked; milliseconds since 1970-01-01T00:00Z, a whole second as their `iat` is. */
  readonly before: number
}

export class Revocations {
  readonly #directory: string
  #before: ReadonlyMap<string, number> = new Map()
  /** When the directory was last changed, as of the two last looks. */
  #changed: readonly [last: bigint, now: bigint] = [-2n, -1n]

  constructor(directory: string) {
    this.#directory = directory
  }

  /** All that are in force. */
  get list(): Revocation[] {
    return [...this.#before].map(([id, before]) => ({ id, before }))
  }

  has(id: string, issuedAt: number): boolean {
    const before = this.#before.get(id)
    return before !== undefined && issuedAt < before
  }

  /** Looks at the disk. */
  read(now: number): void {
    const changed = statSync(this.#directory, { bigint: true, throwIfNoEntry: false })?.mtimeNs ?? 0n
    const [before, last] = this.#changed
    this.#changed = [last, changed]
    // Once more after a change: two within one tick of the file system's clock look like one.
    if (changed === last && last === before) return
    const found = new Map<string, number>()
    for (const { id, before } of this.#files()) {
      if (before + TOKEN_TTL_MS_MAX > now) found.set(id, Math.max(before, found.get(id) ?? 0))
    }
    this.#before = found
  }

  /** On disk when it returns, and those that it makes needless are gone. Up to the end of the second that `given` is in. */
  add({ id, before: given }: Revocation, now: number): void {
    const before = Math.ceil(given / 1000) * 1000
    if (!isDeviceId(id)) throw new IdentityError('bad-device', `"${id}" is the id of neither a device nor a token`)
    makeDirectory(this.#directory)
    const remove = (needless: (each: Revocation) => boolean) => {
      for (const each of this.#files()) if (needless(each)) rmSync(this.#fileOf(each), { force: true })
    }
    remove((each) => each.before + TOKEN_TTL_MS_MAX <= now)
    if (this.#files().length >= REVOCATIONS_MAX) {
      const mend = 'telltale keys rotate, then keys remove, ends all tokens of a key'
      throw new IdentityError('too-many', `${REVOCATIONS_MAX} ids are revoked, and no more are kept: ${mend}`)
    }
    makeFile(this.#fileOf({ id, before }), '')
    remove((each) => each.id === id && each.before < before)
  }

  #fileOf({ id, before }: Revocation): string {
    return join(this.#directory, `${id},${before / 1000}`)
  }

  #files(): Revocation[] {
    let names: string[]
    try {
      names = readdirSync(this.#directory)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw new IdentityError('bad-key', `what was revoked cannot be read: ${messageOf(error)}`, { cause: error })
    }
    return names.flatMap((name) => {
      const [, id, seconds] = FILE.exec(name) ?? []
      return id === undefined ? [] : [{ id, before: Number(seconds) * 1000 }]
    })
  }
}
