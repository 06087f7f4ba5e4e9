/**
 * Owns the topics that a map is for: an MQTT topic filter in which levels, or parts of them, have names.
 *
 *   tele/{device}/SENSOR · N/{device}/battery/{instance}/{field...} · v3/+/devices/{device}/up · zigbee2mqtt/bridge/#
 *
 * `{name...}` is the rest of the topic, one level or more. Always true: matching takes time linear in the topic, for a level has one
 * name at most.
 */

const LEVELS_MAX = 32
const NAME = /^[a-z][a-z0-9_]*$/
const NAMED = /^([^{}+#]*)\{([a-z][a-z0-9_]*)(\.\.\.)?\}([^{}+#]*)$/

/** What a topic says, by name. */
export type TopicNames = ReadonlyMap<string, string>

export class TopicPattern {
  readonly text: string
  readonly names: readonly string[]
  readonly #expression: RegExp

  private constructor(text: string, names: readonly string[], expression: RegExp) {
    this.text = text
    this.names = names
    this.#expression = expression
  }

  /** The pattern, or what is wrong with it. */
  static parse(text: string): TopicPattern | string {
    const levels = text.split('/')
    const names: string[] = []
    if (text.startsWith('$')) return "a topic that begins with $ is the broker's own"
    if (levels[0] === 'devices') return "topics under devices/ are the platform's own, and need no map"
    if (levels.length > LEVELS_MAX) return `it has ${levels.length} levels; at most ${LEVELS_MAX} are possible`
    let expression = ''
    for (const [index, level] of levels.entries()) {
      const isLast = index === levels.length - 1
      const slash = index === 0 ? '' : '/'
      if (level === '#') {
        if (!isLast) return '# must be its last level'
        expression += index === 0 ? '.*' : '(?:/.*)?'
      } else if (level === '+') expression += `${slash}[^/]*`
      else if (/[{}+#]/.test(level)) {
        const [, before = '', name, rest, after = ''] = NAMED.exec(level) ?? []
        const [, wrong] = /\{([^{}]*?)(?:\.\.\.)?\}/.exec(level) ?? []
        if (name === undefined && wrong !== undefined && !NAME.test(wrong)) {
          return `{${wrong}} is no name: right are a-z, 0-9 and _, and a letter first, as in {device}`
        }
        if (name === undefined) {
          return `the level ${JSON.stringify(level)} is not understood; + or # stand alone, and a name is written {name}, one a level`
        }
        if (names.includes(name)) return `{${name}} stands in it twice`
        if (rest !== undefined && (!isLast || after !== '')) return `{${name}...} must be its end`
        names.push(name)
        expression += `${slash}${literal(before)}(${rest === undefined ? '[^/]+' : '.+'})${literal(after)}`
      } else expression += slash + literal(level)
    }
    return new TopicPattern(text, names, new RegExp(`^${expression}$`, 's'))
  }

  /** The same topics without names. */
  get filter(): string {
    return this.text.replace(/\{[^{}]*\.\.\.\}/, '#').replaceAll(/\{[^{}]*\}/g, '+')
  }

  match(topic: string): TopicNames | undefined {
    const found = this.#expression.exec(topic)
    if (found === null) return undefined
    return new Map(this.names.map((name, index) => [name, found[index + 1] ?? '']))
  }
}

const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
