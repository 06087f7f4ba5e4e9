/** Owns counting how often a few bytes occur in a stream that comes in chunks: what lies across two of them counts, too. */
export class Occurrences {
  readonly #wanted: Buffer
  readonly #text: string
  #count = 0
  /** The last bytes of the chunks so far, one fewer than are wanted. */
  #tail = ''

  /** `text`: ASCII. */
  constructor(text: string) {
    this.#text = text
    this.#wanted = Buffer.from(text, 'latin1')
  }

  get count(): number {
    return this.#count
  }

  read(chunk: Buffer): void {
    const { length } = this.#wanted
    const head = this.#tail + chunk.toString('latin1', 0, length - 1)
    if (head.includes(this.#text)) this.#count++
    for (let at = chunk.indexOf(this.#wanted); at !== -1; at = chunk.indexOf(this.#wanted, at + length)) this.#count++
    const end = chunk.toString('latin1', Math.max(0, chunk.length - length + 1))
    this.#tail = (this.#tail + end).slice(1 - length)
  }
}
