/**
 * Owns the text of a `.proto` file: where in it a field stands, for the reason of a refusal. `protobufjs` says the line of what it
 * cannot parse, and of nothing else.
 */

/** Of comments and texts nothing is left but their line breaks and as many spaces: what they say declares nothing. */
const BLANKED = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g
const IS_PROTO3 = /^\s*syntax\s*=\s*(["'])proto3\1\s*;/

export class ProtoSource {
  readonly #code: string
  readonly isProto3: boolean

  constructor(text: string) {
    this.isProto3 = IS_PROTO3.test(text.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, ''))
    this.#code = text.replace(BLANKED, (part) => part.replace(/[^\n]/g, ' '))
  }

  /** The line, from 1, of a field of the message that these names lead to, or of the message if there is no such field. */
  lineOf(messages: readonly string[], field?: string): number {
    let at = 0
    for (const name of messages) at = this.#find(new RegExp(`\\bmessage\\s+${name}\\b`, 'g'), at) ?? at
    if (field !== undefined) at = this.#find(new RegExp(`\\b${field}\\s*=\\s*\\d`, 'g'), at) ?? at
    return this.#code.slice(0, at).split('\n').length
  }

  #find(pattern: RegExp, from: number): number | undefined {
    pattern.lastIndex = from
    return pattern.exec(this.#code)?.index
  }
}
