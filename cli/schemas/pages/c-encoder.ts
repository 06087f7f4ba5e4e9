/**
 * Owns the C of a stream's page: a struct of its readings, what encodes one in Avro's single-object encoding, and a program that
 * prints the example. Always true: it is C99 without a warning, whatever the columns are called, and prints the example's bytes.
 * `telltale.h` (c-header.ts) has the numbers and texts.
 */

import type { Definition, EnumLeaf, Field, Leaf, RecordShape } from '../../../schemas/definition.ts'
import type { ListLeaf, NumberType } from '../../../schemas/numbers.ts'
import { C_HEADER_NAME } from './c-header.ts'
import type { Example } from './example.ts'

interface CKind {
  /** The member of the struct. */
  readonly declare: (name: string, leaf: Leaf) => string
  /** Writes it; `at` is where it stands. */
  readonly put: (at: string, leaf: Leaf) => string
  readonly literal: (value: unknown, leaf: Leaf) => string
  /** Null is a null pointer; other kinds have a member besides that says whether there is a value. */
  readonly isPointer?: (leaf: Leaf) => boolean
  readonly remark?: (leaf: Leaf) => string
}

const integer: CKind = {
  declare: (name) => `int32_t ${name}`,
  put: (at) => `tt_long(b, ${at})`,
  literal: (value) => String(value),
}

const long: CKind = {
  ...integer,
  declare: (name) => `int64_t ${name}`,
  literal: (value) => `INT64_C(${value})`,
}

const string: CKind = {
  declare: (name) => `const char *${name}`,
  put: (at) => `tt_string(b, ${at})`,
  literal: (value) => JSON.stringify(value),
  isPointer: () => true,
}

const fixed: CKind = {
  declare: (name, leaf) => `uint8_t ${name}[${sizeOf(leaf)}]`,
  put: (at, leaf) => `tt_bytes(b, ${at}, ${sizeOf(leaf)})`,
  literal: (value) =>
    `{${hexOf(value)
      .replace(/..(?!$)/g, '0x$&, ')
      .replace(/..$/, '0x$&')}}`,
}

const KINDS: Record<Leaf['kind'], CKind> = {
  int: integer,
  long,
  float: {
    declare: (name) => `float ${name}`,
    put: (at) => `tt_float(b, ${at})`,
    literal: (value) => `${decimal(value)}f`,
  },
  double: { declare: (name) => `double ${name}`, put: (at) => `tt_double(b, ${at})`, literal: decimal },
  boolean: { declare: (name) => `bool ${name}`, put: (at) => `tt_bool(b, ${at})`, literal: String },
  decimal: {
    declare: (name) => `int64_t ${name}`,
    put: (at, leaf) => `tt_decimal(b, ${at}, ${sizeOf(leaf)})`,
    literal: (value) => `INT64_C(${BigInt(`0x${hexOf(value)}`)})`,
    remark: (leaf) => `in steps of ${(10 ** -(leaf as Decimal).scale).toFixed((leaf as Decimal).scale)}`,
  },
  date: { ...integer, remark: () => 'days since 1970' },
  'time-millis': { ...integer, remark: () => 'ms of the day' },
  'time-micros': { ...long, remark: () => 'us of the day' },
  'timestamp-millis': { ...long, remark: () => 'ms since 1970' },
  'timestamp-micros': { ...long, remark: () => 'us since 1970' },
  'local-timestamp-millis': { ...long, remark: () => 'ms since 1970, local time' },
  'local-timestamp-micros': { ...long, remark: () => 'us since 1970, local time' },
  uuid: {
    declare: (name, leaf) => (sizeOf(leaf) > 0 ? fixed : string).declare(name, leaf),
    put: (at, leaf) => (sizeOf(leaf) > 0 ? fixed : string).put(at, leaf),
    literal: (value, leaf) => (sizeOf(leaf) > 0 ? fixed : string).literal(value, leaf),
    remark: () => 'UUID',
    isPointer: (leaf) => sizeOf(leaf) === 0,
  },
  bytes: {
    declare: (name) => `struct tt_data ${name}`,
    put: (at) => `tt_data(b, ${at})`,
    literal: (value) => `{"${escaped(hexOf(value))}", ${(value as Uint8Array).length}}`,
  },
  array: {
    declare: (name, leaf) => `struct tt_${itemsOf(leaf)}s ${name}`,
    put: (at, leaf) => `tt_${itemsOf(leaf)}s(b, ${at})`,
    literal: (value, leaf) => {
      const items = (value as readonly number[]).map((item) => KINDS[itemsOf(leaf)].literal(item, leaf))
      return `{(const ${C_TYPES[itemsOf(leaf)]}[]){${items.join(', ')}}, ${items.length}}`
    },
    remark: () => 'a list',
  },
  fixed,
  string,
  enum: {
    ...integer,
    declare: (name) => `int ${name}`,
    literal: (value, leaf) => String((leaf as EnumLeaf).symbols.indexOf(String(value))),
    remark: (leaf) => (leaf as EnumLeaf).symbols.map((symbol, index) => `${index} ${symbol}`).join(', '),
  },
}

const itemsOf = (leaf: Leaf): NumberType => (leaf as ListLeaf).items
const C_TYPES: Record<NumberType, string> = { int: 'int32_t', long: 'int64_t', float: 'float', double: 'double' }

type Decimal = Extract<Leaf, { kind: 'decimal' }>

/** Bytes of a fixed; 0 of what is none. */
const sizeOf = (leaf: Leaf): number => ('size' in leaf ? (leaf.size ?? 0) : 0)
const hexOf = (value: unknown): string => Buffer.from(value as Uint8Array).toString('hex')
/** Between quotes of C. */
const escaped = (hex: string): string => hex.replace(/../g, '\\x$&')

function decimal(value: unknown): string {
  const text = String(value)
  return /[.e]/.test(text) ? text : `${text}.0`
}

/** Keywords of C and C++, and what the headers define. */
const TAKEN = new Set(
  (
    'asm auto bool break case catch char class const continue default delete do double else enum errno explicit export extern false ' +
    'float for friend goto if inline int linux long main mutable namespace new operator private protected public register restrict ' +
    'return short signed sizeof static stderr stdin stdout struct switch template this throw true try typedef typeid typename union ' +
    'unix unsigned using virtual void volatile while EOF NULL'
  ).split(' '),
)

/** A field of the record with the names of its members. */
interface Member {
  readonly field: Field
  readonly name: string
  /** Says that there is a value, where that is not seen from the value. */
  readonly has: string | undefined
  /** Of a record. */
  readonly members: readonly Member[]
}

export interface COptions {
  readonly definition: Definition
  /** In hexadecimal. */
  readonly firstBytes: string
  readonly example: Example
  /** Of the example's payload. */
  readonly bytes: number
}

export const cProgram = (options: COptions): string => new CProgram(options).text

class CProgram {
  readonly text: string
  readonly #definition: Definition
  readonly #names = new Set(TAKEN)

  constructor({ definition, firstBytes, example, bytes }: COptions) {
    this.#definition = definition
    const { stream, version } = definition
    const members = this.#membersOf(definition.shape, '')
    this.text = `#include <stdio.h>
#include "${C_HEADER_NAME}"

struct ${stream}_reading {
${this.#declarations(members, '').join('\n')}
};

/* One reading, as version ${version} has it. */
static void put_${stream}(struct tt_buffer *b, const struct ${stream}_reading *r)
{
${puts(members, 1).join('\n')}
}

/* Returns the bytes of the payload; if that is more than size, they did not fit. */
size_t encode_${stream}(const struct ${stream}_reading *r, uint8_t *out, size_t size)
{
    struct tt_buffer b = {out, size, 0};
    tt_bytes(&b, "${escaped(firstBytes)}", ${firstBytes.length / 2});
    put_${stream}(&b, r);
    return b.used;
}

int main(void)
{
    uint8_t payload[${2 ** Math.ceil(Math.log2(bytes))}];
    struct ${stream}_reading r = {
${initializers(members, example).join('\n')}
    };
    size_t used = encode_${stream}(&r, payload, sizeof payload);
    return fwrite(payload, 1, used, stdout) == used ? 0 : 1;
}
`
  }

  #membersOf({ fields }: Pick<RecordShape, 'fields'>, prefix: string): Member[] {
    return fields.map((field) => {
      const { shape, nullBranch } = field
      const name = this.#free(prefix + field.name)
      const isSeen = !('fields' in shape) && KINDS[shape.kind].isPointer?.(shape)
      const has = nullBranch !== undefined && !isSeen ? this.#free(`has_${prefix}${field.name}`) : undefined
      const members = 'fields' in shape ? this.#membersOf(shape, `${prefix}${field.name}_`) : []
      return { field, name, has, members }
    })
  }

  #free(name: string): string {
    let free = name
    while (this.#names.has(free)) free += '_'
    this.#names.add(free)
    return free
  }

  #declarations(members: readonly Member[], above: string): string[] {
    const { timeField, precision } = this.#definition
    return members.flatMap(({ field, name, has, members: below }) => {
      const { shape, unit, tag, nullBranch } = field
      const first = has === undefined ? [] : [`    bool ${has};`]
      if ('fields' in shape) return [...first, ...this.#declarations(below, `${above}${field.name}_`)]
      const { declare, remark, isPointer } = KINDS[shape.kind]
      const isTime = above === '' && field.name === timeField
      const remarks = [
        isTime && `${precision} since 1970`,
        unit,
        tag && 'tag',
        remark?.(shape),
        isPointer?.(shape) && nullBranch !== undefined && 'NULL: none',
      ]
      const said = remarks.filter(Boolean).join('; ').replaceAll('*/', '* /')
      return [...first, `    ${declare(name, shape)};${said === '' ? '' : ` /* ${said} */`}`]
    })
  }
}

function puts(members: readonly Member[], level: number): string[] {
  const indent = '    '.repeat(level)
  return members.flatMap(({ field, name, has, members: below }) => {
    const { shape, nullBranch } = field
    const at = `r->${name}`
    const isThere = has === undefined ? `${at} != NULL` : `r->${has}`
    const branch = nullBranch !== undefined && `if (tt_branch(b, ${isThere}, ${1 - nullBranch}))`
    if (!('fields' in shape)) return [`${indent}${branch ? `${branch} ` : ''}${KINDS[shape.kind].put(at, shape)};`]
    const inside = shape.kind === 'map' ? putsOfMap : puts
    if (!branch) return inside(below, level)
    return [`${indent}${branch} {`, ...inside(below, level + 1), `${indent}}`]
  })
}

/** One block with the keys that have a value, then one with none. */
function putsOfMap(members: readonly Member[], level: number): string[] {
  const indent = '    '.repeat(level)
  const blocks = members.map(({ field, name, has }) => {
    const value = KINDS[field.shape.kind as NumberType].put(`r->${name}`, field.shape as Leaf)
    return `${indent}if (r->${has}) { tt_string(b, "${field.name}"); ${value}; }`
  })
  const count = members.map(({ has }) => `r->${has}`).join(' + ')
  return [`${indent}tt_map(b, ${count});`, ...blocks, `${indent}tt_long(b, 0);`]
}

function initializers(members: readonly Member[], example: Example): string[] {
  return members.flatMap(({ field, name, has, members: below }) => {
    const { shape } = field
    const value = example[field.name]
    const first = has === undefined ? [] : [`        .${has} = true,`]
    if ('fields' in shape) return [...first, ...initializers(below, value as Example)]
    return [...first, `        .${name} = ${KINDS[shape.kind].literal(value, shape)},`]
  })
}
