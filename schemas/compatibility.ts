/**
 * Owns what is found in the versions of a stream that stand side by side: what a newer one does to devices that send an older one,
 * and to what is stored.
 *
 * Two kinds: what Avro's schema resolution cannot read (`resolution.ts`), against every older version and not the last alone; and what
 * it reads, but wrongly for us, for neither it nor a fingerprint sees units, tags, logical types, defaults, or what a column is in
 * a store. Always true: a finding has its file and line, what becomes of devices and of what is stored, and the mend. An error
 * refuses the version; a warning does not.
 */

import { isDeepStrictEqual } from 'node:util'
import type { Definition, Field, Leaf, RecordShape } from './definition.ts'
import type { Column } from './reading.ts'
import { sourcesOf, unreadable } from './resolution.ts'

/** What becomes of devices that send an older version, and of what is stored. */
const EFFECTS = {
  unreadable: [
    'all that devices of the older version send is set aside, for the newest version cannot read it',
    'what is stored stays; of those devices nothing is added',
  ],
  time: [
    'the time of what older devices send would be taken in another unit, or from another field',
    'points would lie at wrong times',
  ],
  unit: [
    'what older devices send goes into the column in its old unit',
    'numbers of two units stand in one column, and nobody can tell them apart',
  ],
  type: [
    'what older devices send would be another type of value in the same column',
    'InfluxDB refuses a field that changes its type, and the embedded store a column',
  ],
  tag: [
    'readings of older devices would be of other series than before',
    'a name is a tag in some points and a field in others',
  ],
  default: [
    'a field that older devices do not send is filled with another value from now on',
    'the same reading is stored with one value before, and another after; a replay gives other values',
  ],
  rename: [
    'values of older devices under the old name are dropped, and the default is stored instead',
    'the column ends, and a new one has invented values',
  ],
  moved: [
    'values of older devices stand elsewhere in the record and are dropped; the default is stored in the same column instead',
    'true values and invented ones stand in one column',
  ],
  'series-fold': [
    'what tells the series of older devices apart is dropped',
    'readings of several series fall into one, and those with the same time replace one another',
  ],
  'series-split': [
    'readings of older devices get a tag that these do not send',
    'each series of older devices ends, and another goes on',
  ],
  case: [
    'values of older devices go into a column whose name differs in case only',
    'InfluxDB has two fields, the embedded store one column',
  ],
  removed: ['what older devices send of it is not stored any more', 'the column stays, and nothing is added to it'],
  'symbols-lost': ['what older devices send as one of these is stored as the default', 'what is stored stays'],
  'enum-default': [
    'a later version can take no symbol away, for what older devices send could not be read',
    'what is stored stays',
  ],
} as const

export type FindingCode = keyof typeof EFFECTS | 'invalid' | 'drift'

export interface Finding {
  /** Below the folder of the schemas. */
  readonly file: string
  readonly line: number
  readonly severity: 'error' | 'warning'
  readonly code: FindingCode
  readonly what: string
  readonly devices: string
  readonly stored: string
  readonly mend: string
}

export interface CheckedVersion {
  readonly file: string
  readonly definition: Definition
  /** From 1, of the field that these names lead to. */
  lineOf(path: readonly string[]): number
}

const WARNINGS: readonly FindingCode[] = ['removed', 'symbols-lost', 'enum-default']

/** The findings in the versions of one stream, given oldest first. */
export function checkVersions(versions: readonly CheckedVersion[]): Finding[] {
  const check = new Check()
  for (const [index, version] of versions.entries()) {
    check.at(version)
    const older = versions.slice(0, index)
    for (const { definition } of older) check.readable(definition, version.definition)
    check.columns(older, version.definition)
    const before = older.at(-1)
    if (before !== undefined) check.successor(before.definition, version.definition)
    if (index === versions.length - 1) check.enums(version.definition)
  }
  return check.findings
}

class Check {
  readonly findings: Finding[] = []
  readonly #known = new Set<string>()
  #version: CheckedVersion | undefined

  at(version: CheckedVersion): void {
    this.#version = version
  }

  /** Each version must read what every older one wrote (BACKWARD_TRANSITIVE). */
  readable(older: Definition, newer: Definition): void {
    const faults = unreadable(older, newer)
    for (const { path, what, mend } of faults)
      this.#find('unreadable', path, `${what} (version ${older.version})`, mend)
    if (faults.length > 0) return
    for (const { path, field, source } of pairs(older.shape, newer.shape)) {
      if (source === undefined || source.name === field.name) continue
      const at = path.join('.')
      if (source.unit !== field.unit) {
        const units = `${at} is ${inUnit(field.unit)}, and ${source.name}, for which it stands, was ${inUnit(source.unit)}`
        this.#find(
          'unit',
          path,
          units,
          `keep the unit, or take ${source.name} from its aliases and make it a field of its own`,
        )
      }
      if (source.tag !== field.tag) {
        const what = `${at} is ${asTag(field.tag)}, and ${source.name}, for which it stands, was ${asTag(source.tag)}`
        this.#find('tag', path, what, `take ${source.name} from its aliases and make it a field of its own`)
      }
    }
  }

  /** A column means the same in all versions. */
  columns(older: readonly CheckedVersion[], newer: Definition): void {
    const [first] = older
    if (first !== undefined) this.#time(first.definition, newer)
    for (const { column, path, leaf } of newer.places) {
      for (const { definition } of older) {
        const before = definition.places.find((place) => place.column.name.toLowerCase() === column.name.toLowerCase())
        if (before === undefined) continue
        const of = `in version ${definition.version}`
        this.#column(path, before.column, column, of)
        this.#scale(path, before.leaf, leaf, of)
        if (before.column.name !== column.name || isDeepStrictEqual(before.path, path)) break
        const isMoved = !pairs(definition.shape, newer.shape).some(
          (pair) => isDeepStrictEqual(pair.path, path) && pair.source !== undefined,
        )
        const what = `${path.join('.')} is the column ${column.name}, which ${of} is ${before.path.join('.')}`
        if (isMoved) this.#find('moved', path, what, 'keep the nesting, or give it a name of its own')
        break
      }
    }
  }

  #time(first: Definition, newer: Definition): void {
    const path = [newer.timeField]
    if (newer.timeField !== first.timeField) {
      const what = `the time is ${newer.timeField}, in version ${first.version} it is ${first.timeField}`
      this.#find('time', path, what, 'keep the time, or make a new stream')
    } else if (newer.precision !== first.precision) {
      const what = `${newer.timeField} is in ${newer.precision}, in version ${first.version} in ${first.precision}`
      this.#find('time', path, what, 'keep the logicalType, or make a new stream')
    }
  }

  #column(path: readonly string[], was: Column, is: Column, of: string): void {
    const mend = 'give what changed a new name'
    const { name } = is
    if (was.name !== name)
      this.#find('case', path, `${name} is called ${was.name} ${of}`, 'keep the case, or name it otherwise')
    else if (was.kind !== is.kind || was.format !== is.format)
      this.#find('type', path, `${name} is ${is.format ?? is.kind}, ${of} it is ${was.format ?? was.kind}`, mend)
    else if (was.tag !== is.tag)
      this.#find('tag', path, `${name} is ${asTag(is.tag)}, ${of} it is ${asTag(was.tag)}`, mend)
    else if (was.unit !== is.unit)
      this.#find('unit', path, `${name} is ${inUnit(is.unit)}, ${of} it is ${inUnit(was.unit)}`, mend)
  }

  /** Neither a fingerprint nor avsc sees it, and it is a silent factor. */
  #scale(path: readonly string[], was: Leaf, is: Leaf, of: string): void {
    if (was.kind !== 'decimal' || is.kind !== 'decimal' || was.scale === is.scale) return
    const what = `${path.join('.')} has ${is.scale} decimals, ${of} it has ${was.scale}`
    this.#find('type', path, what, 'give what changed a new name')
  }

  /** What a version does to the one before it. */
  successor(older: Definition, newer: Definition): void {
    const all = pairs(older.shape, newer.shape)
    for (const { path, field, source } of all) {
      const at = path.join('.')
      if (source === undefined) this.#newField(path, field)
      else {
        if (
          source.default !== undefined &&
          !isDeepStrictEqual(source.default, field.default) &&
          field.default !== undefined
        ) {
          const what = `the default of ${at} is ${show(field.default)}, in version ${older.version} it is ${show(source.default)}`
          this.#find('default', path, what, 'keep the default, or give the field a new name')
        }
        this.#symbols(path, source, field)
      }
    }
    for (const { path, field } of goneFrom(older.shape, newer.shape)) this.#gone(path, field, all)
  }

  #newField(path: readonly string[], field: Field): void {
    if (!field.tag || field.default === undefined || field.default === null) return
    const what = `${path.join('.')} is a new tag with the default ${show(field.default)}`
    this.#find('series-split', path, what, 'let it be null by default: "type": ["null", ...], "default": null')
  }

  #symbols(path: readonly string[], { shape: was }: Field, { shape: is, tag }: Field): void {
    if (was.kind !== 'enum' || is.kind !== 'enum') return
    const at = path.join('.')
    if (was.default !== is.default && was.default !== undefined && is.default !== undefined) {
      const what = `the default symbol of ${at} is ${is.default}, it was ${was.default}`
      this.#find('default', path, what, 'keep the default symbol')
    }
    const lost = was.symbols.filter((symbol) => !is.symbols.includes(symbol))
    if (lost.length === 0 || is.default === undefined) return
    const what = `${at} has lost ${lost.join(', ')}, which become ${is.default}`
    this.#find(tag ? 'series-fold' : 'symbols-lost', path, what, 'keep the symbols')
  }

  #gone(path: readonly string[], field: Field, all: readonly Pair[]): void {
    const at = path.join('.')
    if (field.tag) {
      this.#find('series-fold', path.slice(0, -1), `the tag ${at} is gone`, 'keep it; it may become nullable')
      return
    }
    const above = path.slice(0, -1).join('.')
    const isLike = ({ path: other, field: { shape, unit, default: value }, source, field: to }: Pair) =>
      source === undefined &&
      value !== undefined &&
      other.slice(0, -1).join('.') === above &&
      to.isNamedAnew &&
      shape.kind === field.shape.kind &&
      unit === field.unit
    const anew = all.find(isLike)
    if (anew !== undefined) {
      const name = anew.path.join('.')
      const mend = `if it is, give it "aliases": ["${field.name}"]; if it is something else, say so by "aliases": []`
      this.#find(
        'rename',
        anew.path,
        `${at} is gone and ${name} is new, of the same type and unit: is it renamed?`,
        mend,
      )
      return
    }
    this.#find('removed', path.slice(0, -1), `${at} is gone`, 'nothing, if it is meant; else keep it, nullable')
  }

  enums({ places }: Definition): void {
    for (const { path, leaf } of places) {
      if (leaf.kind !== 'enum' || leaf.default !== undefined) continue
      const mend = `add a symbol such as "unknown" and "default": "unknown" to the enum in its next version`
      this.#find('enum-default', path, `the enum ${path.join('.')} has no default symbol`, mend)
    }
  }

  #find(code: keyof typeof EFFECTS, path: readonly string[], what: string, mend: string): void {
    const { file = '' } = this.#version ?? {}
    const line = this.#version?.lineOf(path) ?? 1
    const key = `${file} ${code} ${what.replace(/ \(version \d+\)$/, '')}`
    if (this.#known.has(key)) return
    this.#known.add(key)
    const [devices, stored] = EFFECTS[code]
    const severity = WARNINGS.includes(code) ? 'warning' : 'error'
    this.findings.push({ file, line, severity, code, what, devices, stored, mend })
  }
}

interface Pair {
  readonly path: readonly string[]
  readonly field: Field
  /** What it is read from; undefined if there is none, and it takes its default. */
  readonly source: Field | undefined
}

/** The newer version's fields, nested ones too, and what of the older one each is read from. */
type Fields = Pick<RecordShape, 'fields'>

function pairs(older: Fields, newer: Fields, above: readonly string[] = []): Pair[] {
  return newer.fields.flatMap((field) => {
    const path = [...above, field.name]
    const [source] = sourcesOf(older, field)
    const [is, was] = [field.shape, source?.shape]
    const inner = was !== undefined && 'fields' in is && 'fields' in was ? pairs(was, is, path) : []
    return [{ path, field, source }, ...inner]
  })
}

/** The older version's fields that nothing of the newer one is read from. */
function goneFrom(older: Fields, newer: Fields, above: readonly string[] = []): { path: string[]; field: Field }[] {
  return older.fields.flatMap((field) => {
    const path = [...above, field.name]
    const heir = newer.fields.find(({ name, aliases }) => name === field.name || aliases.includes(field.name))
    if (heir === undefined) return [{ path, field }]
    if (!('fields' in field.shape) || !('fields' in heir.shape)) return []
    return goneFrom(field.shape, heir.shape, path)
  })
}

const inUnit = (unit: string | undefined) => (unit === undefined ? 'without a unit' : `in ${unit}`)
const asTag = (tag: boolean) => (tag ? 'a tag' : 'no tag')
const show = (value: unknown) => JSON.stringify(value)
