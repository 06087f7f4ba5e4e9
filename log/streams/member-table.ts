/**
 * Owns the table of the processes that share a log, the roles that they play and what they have claimed, as the changes of shard 0 say it.
 *
 * Bounds: of those that are gone the newest `GONE_KEPT`.
 */

import type { Role } from '../roles.ts'
import type { Environment } from '../tables/environment.ts'
import type { Beat, Claim, Gone, RoleChange } from './change.ts'

const GONE_KEPT = 100
const MEMBERS = 'members'
const CLAIMS = 'claims'

export interface Member {
  readonly process: string
  /** Offset of its last beat. */
  readonly beat: number
  /** Milliseconds. */
  readonly since: number
  readonly goneAt?: number
  readonly roles: readonly { readonly role: Role; readonly since: number }[]
}

export type MemberRow = Readonly<Record<string, Member>>

export class MemberTable {
  readonly #meta: Environment['meta']

  constructor({ meta }: Pick<Environment, 'meta'>) {
    this.#meta = meta
  }

  all(): MemberRow {
    return (this.#meta.get(MEMBERS) as MemberRow | undefined) ?? {}
  }

  /** The member that has the claim, and is there. */
  holder(name: string): string | undefined {
    const claims = this.#claims()
    return Object.hasOwn(claims, name) ? claims[name] : undefined
  }

  /** Only within a transaction. What it came to: whether it is so now. */
  apply(change: Beat | Gone | RoleChange | Claim, at: number, offset: number): boolean {
    switch (change.kind) {
      case 'beat':
        return this.#beat(change, at, offset)
      case 'gone':
        return this.#gone(change, at)
      case 'role':
        return this.#role(change, at)
      case 'claim':
        return this.#claim(change)
    }
  }

  #beat({ member, process }: Beat, at: number, offset: number): boolean {
    const known = this.#of(member)
    // For ever: whoever goes on after that has another name.
    if (known?.goneAt !== undefined) return false
    this.#put(
      member,
      known === undefined ? { process, beat: offset, since: at, roles: [] } : { ...known, beat: offset },
    )
    return true
  }

  #gone({ member, beat }: Gone, at: number): boolean {
    const known = this.#of(member)
    if (known === undefined || known.goneAt !== undefined || known.beat !== beat) return false
    this.#put(member, { ...known, goneAt: at })
    const claims = Object.entries(this.#claims()).filter(([, holder]) => holder !== member)
    this.#meta.put(CLAIMS, Object.fromEntries(claims))
    const gone = Object.entries(this.all()).filter(([, each]) => each.goneAt !== undefined)
    gone.sort(([, a], [, b]) => (a.goneAt ?? 0) - (b.goneAt ?? 0))
    for (const [old] of gone.slice(0, Math.max(0, gone.length - GONE_KEPT))) this.#forget(old)
    return true
  }

  #role({ member, role, isPlayed }: RoleChange, at: number): boolean {
    const known = this.#of(member)
    if (known === undefined || known.goneAt !== undefined) return false
    const others = known.roles.filter((each) => each.role !== role)
    this.#put(member, { ...known, roles: isPlayed ? [...others, { role, since: at }] : others })
    if (isPlayed) this.#forgetGoneThatPlayed(role)
    return true
  }

  #claim({ name, member, isReleased }: Claim): boolean {
    const known = this.#of(member)
    const holder = this.holder(name)
    if (known === undefined || known.goneAt !== undefined) return false
    if (holder !== undefined && holder !== member) return false
    const { [name]: _old, ...others } = this.#claims()
    this.#meta.put(CLAIMS, isReleased ? others : { ...others, [name]: member })
    return true
  }

  /** Those that are gone are forgotten when somebody else plays their role. */
  #forgetGoneThatPlayed(role: Role): void {
    for (const [name, member] of Object.entries(this.all())) {
      if (member.goneAt === undefined || !member.roles.some((each) => each.role === role)) continue
      this.#put(name, { ...member, roles: member.roles.filter((each) => each.role !== role) })
    }
  }

  #of(member: string): Member | undefined {
    const all = this.all()
    return Object.hasOwn(all, member) ? all[member] : undefined
  }

  #put(member: string, record: Member): void {
    this.#meta.put(MEMBERS, { ...this.all(), [member]: record })
  }

  #forget(member: string): void {
    const { [member]: _gone, ...others } = this.all()
    this.#meta.put(MEMBERS, others)
  }

  #claims(): Readonly<Record<string, string>> {
    return (this.#meta.get(CLAIMS) as Record<string, string> | undefined) ?? {}
  }
}
