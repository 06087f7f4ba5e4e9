/** Owns how the page says what a rule is and where it is written, in the words of docs/alerts.md. */

const EXAMPLE = `# config/rules/yard.yaml
- name: trucks-silent
  silent: { devices: devices/truck-+, for: 5m }
  to: [ { ntfy: https://ntfy.sh/yard-17 } ]
- name: too-hot
  above: { devices: devices/+, field: environment.temperature, value: 60, for: 1m }
  to: [ https://example.com/telltale ]`

const CONDITIONS: readonly (readonly [name: string, meaning: string])[] = [
  ['silent', 'nothing of a device came for so long'],
  ['completeness', 'less came in the last whole hours than its pace lets expect'],
  ['dead', 'more messages of a device were set aside than this'],
  ['above, below', 'a field is beyond a value in each reading for so long'],
  ['lag', 'the store lacks what was received so long ago'],
]

export function RuleHelp({ isOpen }: { readonly isOpen: boolean }) {
  return (
    <details class="card rule-help" open={isOpen}>
      <summary>How to make a rule</summary>
      <p>
        A rule is a file on the platform, in <code>config/rules/</code>. It is in force two seconds after it is saved,
        and <code>npx telltale map check</code> finds a mistake in it before.
      </p>
      <pre>
        <code>{EXAMPLE}</code>
      </pre>
      <dl>
        {CONDITIONS.map(([name, meaning]) => (
          <div key={name}>
            <dt>
              <code>{name}</code>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <p>
        <code>to</code> has those who are told when it begins and when it is over: any webhook, <code>ntfy</code>, or{' '}
        <code>alertmanager</code>. All that a rule may say is in <code>docs/alerts.md</code>.
      </p>
    </details>
  )
}
