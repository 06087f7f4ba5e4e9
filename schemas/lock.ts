/**
 * Owns what was released: `lock.json` in the folder of the schemas, which is kept with them.
 *
 * Always true: a version that is in the lock stays as it was, for devices that send it are in the field for years and bytes of it
 * are in the log and in backups. Ids are never given twice: by them Confluent's wire format names a schema. The lock has each
 * version's text, so that what has changed can be said, and put back.
 * Bound: an entry a version.
 */

import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { messageOf } from '../platform/errors.ts'
import { SchemaError } from './definition.ts'
import { fileName, LOCK_FILE, type SchemaFile, type SchemaFiles } from './schema-files.ts'

/** Of a line that has changed so much is shown. */
const SHOWN_CHARS_MAX = 100

const lockShape = z.strictObject({
  lastId: z.int().min(0),
  schemas: z.array(
    z.strictObject({
      file: z.string(),
      /** From 1. Of the record, and of an array of it. */
      id: z.int().min(1),
      batchId: z.int().min(1),
      fingerprint: z.string().regex(/^[0-9a-f]{16}$/),
      batchFingerprint: z.string().regex(/^[0-9a-f]{16}$/),
      /** Of the text in UTF-8. */
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      text: z.string(),
    }),
  ),
})

export type Locked = z.infer<typeof lockShape>['schemas'][number]

/** What is to be locked of a version. */
export type Released = SchemaFile & Pick<Locked, 'fingerprint' | 'batchFingerprint'>

/** A released version that is not as it was. */
export interface Drift {
  readonly file: string
  /** Where it changed first, from 1; undefined if the file is gone. */
  readonly line: number | undefined
  readonly what: string
}

export class Lock {
  readonly #lastId: number
  readonly #byFile: ReadonlyMap<string, Locked>

  private constructor(lastId: number, locked: readonly Locked[]) {
    this.#lastId = lastId
    this.#byFile = new Map(locked.map((each) => [each.file, each]))
  }

  /** Throws `SchemaError` `lock-invalid` for a text that is no lock. */
  static read({ directory, lock }: Pick<SchemaFiles, 'directory' | 'lock'>): Lock {
    if (lock === undefined) return new Lock(0, [])
    try {
      const { lastId, schemas } = lockShape.parse(JSON.parse(lock))
      const ids = schemas.flatMap(({ id, batchId }) => [id, batchId])
      if (new Set(ids).size < ids.length) throw new Error('two of its schemas have one id')
      if (ids.some((id) => id > lastId)) throw new Error(`an id is above lastId, ${lastId}`)
      return new Lock(lastId, schemas)
    } catch (cause) {
      const what = cause instanceof z.ZodError ? z.prettifyError(cause).replaceAll('\n', '; ') : messageOf(cause)
      const mend =
        'take it from your version control, or remove it and run `telltale schemas lock`: ids begin anew then'
      throw new SchemaError('lock-invalid', `${directory}/${LOCK_FILE}: is no lock of schemas (${what}); ${mend}`, {
        cause,
      })
    }
  }

  of(file: Pick<SchemaFile, 'stream' | 'version' | 'format'>): Locked | undefined {
    return this.#byFile.get(fileName(file))
  }

  /** How the files differ from what was released; none if they do not. Versions that are not in the lock are new. */
  drift({ files }: Pick<SchemaFiles, 'files'>): Drift[] {
    const now = new Map(files.map((file) => [fileName(file), file.text]))
    return [...this.#byFile.values()].flatMap(({ file, text, sha256 }): Drift[] => {
      const is = now.get(file)
      if (is === undefined) return [{ file, line: undefined, what: 'it is gone' }]
      if (digest(is) === sha256 || saysTheSame(text, is)) return []
      return [{ file, ...firstChange(text, is) }]
    })
  }

  /** Those that are not in the lock. */
  unlocked<File extends SchemaFile>(files: readonly File[]): File[] {
    return files.filter((file) => this.of(file) === undefined)
  }

  /** A lock with these besides. Who was locked keeps the ids. */
  with(released: readonly Released[]): Lock {
    let last = this.#lastId
    const added = this.unlocked(released).map((each): Locked => {
      const { text, fingerprint, batchFingerprint } = each
      const [id, batchId] = [last + 1, last + 2]
      last = batchId
      return {
        file: fileName(each),
        id,
        batchId,
        fingerprint,
        batchFingerprint,
        sha256: digest(text),
        text,
      }
    })
    return new Lock(last, [...this.#byFile.values(), ...added])
  }

  /** A lock without these files; their ids are not given again. */
  without(files: readonly string[]): Lock {
    return new Lock(
      this.#lastId,
      [...this.#byFile.values()].filter(({ file }) => !files.includes(file)),
    )
  }

  get text(): string {
    return `${JSON.stringify({ lastId: this.#lastId, schemas: [...this.#byFile.values()] }, null, 2)}\n`
  }

  released(file: string): string | undefined {
    return this.#byFile.get(file)?.text
  }
}

/** The sentences of a start that does not go on. */
export function driftError(directory: string, drift: readonly Drift[]): SchemaError {
  const lines = drift.map(
    ({ file, line, what }) => `${directory}/${file}${line === undefined ? '' : `:${line}`}: ${what}`,
  )
  const mend =
    'A released version never changes, for devices go on sending it: put back what it was with `telltale schemas lock --restore`, ' +
    'and make what is new the next version. If no device has ever sent it: `telltale schemas lock --replace`'
  return new SchemaError('schema-drift', `${lines.join('; ')}. ${mend}`)
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The layout alone has changed. */
function saysTheSame(was: string, is: string): boolean {
  const words = (text: string) => text.trim().split(/\s+/).join(' ')
  if (words(was) === words(is)) return true
  try {
    return isDeepStrictEqual(JSON.parse(was), JSON.parse(is))
  } catch {
    return false
  }
}

function firstChange(was: string, is: string): { line: number; what: string } {
  const [before, after] = [was.split('\n'), is.split('\n')]
  let from = 0
  while (from < after.length && before[from] === after[from]) from++
  let kept = 0
  while (kept < Math.min(before.length, after.length) - from && before.at(-1 - kept) === after.at(-1 - kept)) kept++
  const [gone, come] = [before.slice(from, before.length - kept), after.slice(from, after.length - kept)]
  const others = Math.max(gone.length, come.length) - 1
  const more = others > 0 ? `, and ${others} more ${others === 1 ? 'line' : 'lines'}` : ''
  return { line: from + 1, what: `it was ${shown(gone[0], come[0])} and is ${shown(come[0], gone[0])}${more}` }
}

/** Of a long line the part where it differs. */
function shown(line: string | undefined, other: string | undefined): string {
  if (line === undefined) return 'nothing'
  const text = line.trim()
  const rest = other?.trim() ?? ''
  let at = 0
  while (at < text.length && text[at] === rest[at]) at++
  const from = text.length <= SHOWN_CHARS_MAX ? 0 : Math.max(0, at - SHOWN_CHARS_MAX / 2)
  const part = text.slice(from, from + SHOWN_CHARS_MAX)
  return `\`${from > 0 ? '...' : ''}${part}${from + part.length < text.length ? '...' : ''}\``
}
