/**
 * Owns YAML files that people write (`TELLTALE_CONFIG_DIR`): each value with its place, so that a fault is told with file, line, and
 * what would be right.
 *
 * Always true: a file is read whole or refused; no key of a file becomes a property of an object here. Aliases are refused: nobody
 * needs them, and they can blow a small file up. Bound: `CONFIG_FILE_BYTES_MAX` a file.
 */

import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLError } from 'yaml'
import { TelltaleError } from './errors.ts'

/** A file is larger: refused. */
export const CONFIG_FILE_BYTES_MAX = 1024 * 1024

/** Of a file that is read by parts, each but the last is so long, and as much longer as its last item: 3 ms or so. */
const PART_CHARS_MIN = 2_048
const ITEM = /^-(\s|$)/

/** A file that cannot be used; its message begins with file and line. */
export class ConfigError extends TelltaleError {
  readonly file: string

  constructor(file: string, line: number | undefined, what: string) {
    super('bad-config', `${file}${line === undefined ? '' : `:${line}`}: ${what}`)
    this.file = file
  }

  /** The same, and what is wrong with other files. */
  with(others: readonly ConfigError[]): TelltaleError {
    const messages = [this, ...others].map(({ message }) => message)
    return new TelltaleError('bad-config', messages.join('; and '))
  }
}

/** One value of a file, and where it stands. */
export class ConfigValue {
  readonly #file: string
  readonly #line: number
  readonly #node: Node | null
  readonly #lineOf: (node: Node) => number

  /** `line` is where nothing stands. */
  constructor(file: string, node: Node | null, line: number, lineOf: (node: Node) => number) {
    this.#file = file
    this.#node = node
    this.#line = node === null ? line : lineOf(node)
    this.#lineOf = lineOf
  }

  get file(): string {
    return this.#file
  }

  get line(): number {
    return this.#line
  }

  /** File and line. */
  get where(): string {
    return `${this.#file}:${this.#line}`
  }

  refuse(what: string): never {
    throw new ConfigError(this.#file, this.#line, what)
  }

  get isMap(): boolean {
    return isMap(this.#node)
  }

  get isList(): boolean {
    return isSeq(this.#node)
  }

  /** A string, number, boolean or null; undefined of a map or a list. */
  get scalar(): unknown {
    if (this.#node === null) return null
    return isScalar(this.#node) ? this.#node.value : undefined
  }

  /** As it is written, for a person to read. */
  get shown(): string {
    if (this.isMap) return 'a map'
    if (this.isList) return 'a list'
    return JSON.stringify(this.scalar) ?? 'nothing'
  }

  text(what: string): string {
    const value = this.scalar
    if (typeof value === 'string' && value !== '') return value
    return this.refuse(`${what} is ${this.shown}; text is right`)
  }

  number(what: string): number {
    const value = this.scalar
    if (typeof value === 'number' && Number.isFinite(value)) return value
    return this.refuse(`${what} is ${this.shown}; a number is right`)
  }

  oneOf<T extends string>(what: string, allowed: readonly T[]): T {
    const value = this.scalar
    for (const each of allowed) if (value === each) return each
    return this.refuse(`${what} is ${this.shown}; right is ${allowed.join(' or ')}`)
  }

  list(what: string): readonly ConfigValue[] {
    if (!isSeq(this.#node)) return this.refuse(`${what} is ${this.shown}; a list is right`)
    return this.#node.items.map((item) => this.#value(item as Node | null))
  }

  /** The values by key, in their order. `allowed`: the keys there may be; any if it is not given. */
  entries(what: string, allowed?: readonly string[]): ReadonlyMap<string, ConfigValue> {
    if (!isMap(this.#node)) return this.refuse(`${what} is ${this.shown}; a map is right`)
    const entries = new Map<string, ConfigValue>()
    for (const { key, value } of this.#node.items) {
      const name = this.#value(key as Node)
      const text = typeof name.scalar === 'number' || name.scalar === null ? String(name.scalar) : name.text('a key')
      if (allowed !== undefined && !allowed.includes(text)) {
        name.refuse(`${JSON.stringify(text)} is nothing that ${what} has; there are ${allowed.join(', ')}`)
      }
      // A key without a value stands for itself.
      entries.set(text, new ConfigValue(this.#file, (value as Node | null) ?? null, name.#line, this.#lineOf))
    }
    return entries
  }

  #value(node: Node | null): ConfigValue {
    return new ConfigValue(this.#file, node, this.#line, this.#lineOf)
  }
}

/** The items of a file: those of a list, or the one map that it is. Throws a `ConfigError`. */
export function readConfig(file: string, text: string): readonly ConfigValue[] {
  checkSize(file, text)
  return itemsIn(file, text, 1)
}

/**
 * The same, some items at a time, so that others can have their turn between: a file of 5,000 items takes 0.8 s. Throws the `ConfigError`
 * of the first part that has a fault.
 */
export function* readConfigByParts(file: string, text: string): Generator<readonly ConfigValue[], void, undefined> {
  checkSize(file, text)
  for (const { text: part, line } of partsIn(text)) yield itemsIn(file, part, line)
}

/** A list whose items begin lines, and nothing else does but comments: what begins no line belongs to the item before it. */
function partsIn(text: string): { readonly text: string; readonly line: number }[] {
  const lines = text.split('\n')
  const first = lines.findIndex((line) => ITEM.test(line))
  const isOfList = (line: string, index: number) =>
    ITEM.test(line) || /^(\s|$|#)/.test(line) || (index < first && /^---\s*$/.test(line))
  if (!lines.every(isOfList)) return [{ text, line: 1 }]
  const parts: { readonly text: string; readonly line: number }[] = []
  let part: string[] = []
  let length = 0
  let from = 1
  for (const [index, line] of lines.entries()) {
    if (length > PART_CHARS_MIN && ITEM.test(line)) {
      parts.push({ text: part.join('\n'), line: from })
      part = []
      length = 0
      from = index + 1
    }
    part.push(line)
    length += line.length + 1
  }
  return [...parts, { text: part.join('\n'), line: from }]
}

function checkSize(file: string, text: string): void {
  if (text.length > CONFIG_FILE_BYTES_MAX)
    throw new ConfigError(file, undefined, `is larger than ${CONFIG_FILE_BYTES_MAX} bytes`)
}

/** `line`: that of the file in which the text begins. */
function itemsIn(file: string, text: string, line: number): readonly ConfigValue[] {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter, prettyErrors: false, schema: 'core' })
  const lineAt = (offset: number) => lineCounter.linePos(offset).line + line - 1
  const [error] = [...document.errors, ...document.warnings]
  if (error !== undefined) {
    throw new ConfigError(file, lineAt(error.pos[0]), faultOf(error, text))
  }
  const lineOf = (node: Node) => lineAt(node.range?.[0] ?? 0)
  const root = new ConfigValue(file, document.contents as Node | null, line, lineOf)
  if (root.scalar === null) return []
  if (root.isList) return root.list('the file')
  if (root.isMap) return [root]
  return root.refuse(`the file is ${root.shown}; a map is right, or a list of maps`)
}

function faultOf({ code, message, pos: [at] }: YAMLError, text: string): string {
  if (code === 'MULTIPLE_DOCS')
    return 'a second document begins here, and a file has one: right is a list, or a file each'
  if (code === 'DUPLICATE_KEY') return `the key ${/^\S[^:\s]*/.exec(text.slice(at))?.[0] ?? ''} is there twice`
  return `is not YAML: ${message}${hintOf(text, at)}`
}

/** The usual slip: `topic: {device}/status` begins a map, and so does `{ topic: a/{device} }`. */
function hintOf(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const end = text.indexOf('\n', offset)
  const line = text.slice(start, end < 0 ? text.length : end)
  if (text[offset] === '%') return '; % must stand in quotes: "%"'
  return /\{\w+(\.\.\.)?\}/.test(line)
    ? '; text with { in it must stand in quotes where it begins so, or is within braces'
    : ''
}
