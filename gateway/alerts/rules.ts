/**
 * Owns the rules in force (docs/alerts.md): those of all files in `config/rules`.
 *
 * Always true: no two have one name. They change as a whole; who follows them is told then. Bounds: `RULES_MAX`, `RULE_TARGETS_MAX`.
 */

import type { DeclaredDevices, Place } from '../../identity/declared-devices.ts'
import { readConfig } from '../../platform/config-file.ts'
import type { ConfigText } from '../../platform/config-folder.ts'
import type { Registry } from '../../schemas/registry.ts'
import { type Rule, readRule } from './rule.ts'

/** Each second each of them is looked at. */
const RULES_MAX = 1_000
/** Different ones of all rules: each may have a request under way. */
const RULE_TARGETS_MAX = 100

export class Rules {
  #rules: readonly Rule[] = []
  readonly #changed = new Set<() => void>()

  get all(): readonly Rule[] {
    return this.#rules
  }

  /** Puts the rules of these files in force. Throws a `ConfigError`, and those of before stay. */
  use(files: readonly ConfigText[]): void {
    const rules = new Map<string, Rule>()
    const targets = new Set<string>()
    for (const { file, text } of files) {
      const items = readConfig(file, text)
      for (const item of items) {
        const rule = readRule(item, items.length)
        const other = rules.get(rule.name)
        if (other !== undefined)
          item.refuse(`a rule ${rule.name} is in ${other.where.where} already; right is another name`)
        rules.set(rule.name, rule)
        for (const { url } of rule.to) targets.add(url)
        if (rules.size > RULES_MAX) item.refuse(`there are more than ${RULES_MAX} rules`)
        if (targets.size > RULE_TARGETS_MAX) item.refuse(`there are more than ${RULE_TARGETS_MAX} targets in all rules`)
      }
    }
    this.#rules = [...rules.values()]
    for (const changed of this.#changed) changed()
  }

  /** Calls back after each change, until the function that it returns is called. */
  onChange(changed: () => void): () => void {
    this.#changed.add(changed)
    return () => this.#changed.delete(changed)
  }

  /** What is no fault, for it may come: places where no device is now, fields that no stream has now. */
  remarks({ streams }: Pick<Registry, 'streams'>, declared: Pick<DeclaredDevices, 'hasAt'>): string[] {
    const empty = this.#rules.flatMap(({ condition, where }) => {
      const place = condition.kind === 'lag' ? undefined : condition.devices.place
      if (place === undefined || declared.hasAt(place)) return []
      return [`${where.where}: no device has ${shown(place)} in config/devices now`]
    })
    const noFields = this.#rules.flatMap(({ condition, where }) => {
      if (condition.kind !== 'above' && condition.kind !== 'below') return []
      const stream = streams.find(({ name }) => name === condition.stream)
      if (stream === undefined) return [`${where.where}: there is no stream ${condition.stream} now`]
      const columns = stream.columns.filter(({ kind }) => kind === 'float' || kind === 'integer' || kind === 'boolean')
      if (columns.some(({ name }) => name === condition.column)) return []
      const names = columns.map(({ name }) => name).join(', ')
      return [`${where.where}: ${condition.stream} has no number ${condition.column} now; there are ${names}`]
    })
    return [...empty, ...noFields]
  }
}

function shown({ site, labels }: Place): string {
  const all = Object.entries(labels).map(([name, value]) => `the label ${name}: ${value}`)
  return [...(site === undefined ? [] : [`the site ${site}`]), ...all].join(' and ')
}
