/**
 * Owns an app of a load that counts its readings, as cheaply as can be. If it is resting it reads what has come only when it is
 * told: real apps have machines of their own, and a thousand that read each frame would take the cores from what is measured.
 */

import { Occurrences } from './occurrences.ts'
import { RawApp } from './raw-app.ts'
import type { Wish } from './wishes.ts'

export interface CountingAppOptions {
  readonly gatewayPort: number
  readonly token: string
  readonly wish: Wish
  /** What comes is read into it; all apps may share one. */
  readonly buffer: Buffer
  /** True unless given. */
  readonly isResting?: boolean
  readonly onFailed: (error: Error) => void
}

export class CountingApp {
  readonly #app: RawApp
  readonly #readings = new Occurrences('{"device":"')
  readonly #lives = new Occurrences('{"type":"live"')
  readonly #told = new Occurrences('{"type":"gap"')

  private constructor({ gatewayPort, buffer, isResting = true, onFailed }: CountingAppOptions) {
    const onBytes = (chunk: Buffer) => {
      this.#readings.read(chunk)
      this.#lives.read(chunk)
      this.#told.read(chunk)
      if (this.#told.count > 0) onFailed(new Error('an app was told of a gap'))
    }
    this.#app = new RawApp(gatewayPort, { buffer, onBytes, isResting, onFailed })
  }

  /** Resolves when it has asked. */
  static async connect(options: CountingAppOptions): Promise<CountingApp> {
    const app = new CountingApp(options)
    await app.#app.subscribe(options.token, options.wish)
    return app
  }

  get readings(): number {
    return this.#readings.count
  }

  get isLive(): boolean {
    return this.#lives.count > 0
  }

  /** Reads what has come. */
  read(): void {
    this.#app.read()
  }

  close(): void {
    this.#app.close()
  }
}
