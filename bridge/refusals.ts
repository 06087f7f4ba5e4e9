/** Owns what the codes mean by which another broker refuses the bridge or ends its connection, in words for who sets it up. */

const TEXTS: Readonly<Record<number, string>> = {
  // MQTT 3.1.1 section 3.2.2.3.
  1: 'it does not speak this version of MQTT: TELLTALE_BRIDGE_MQTT chooses another',
  2: 'it does not take the client id: TELLTALE_BRIDGE_CLIENT_ID chooses another',
  3: 'it is not available now',
  4: 'user name or password is wrong: TELLTALE_BRIDGE_USERNAME and _PASSWORD',
  5: 'it is not allowed there: TELLTALE_BRIDGE_USERNAME and _PASSWORD, and its access list',
  // MQTT 5 section 2.4.
  132: 'it does not speak this version of MQTT: TELLTALE_BRIDGE_MQTT chooses another',
  133: 'it does not take the client id: TELLTALE_BRIDGE_CLIENT_ID chooses another',
  134: 'user name or password is wrong: TELLTALE_BRIDGE_USERNAME and _PASSWORD',
  135: 'it is not allowed there: TELLTALE_BRIDGE_USERNAME and _PASSWORD, and its access list',
  136: 'it is not available now',
  137: 'it is busy',
  138: 'it has banned this client',
  139: 'it shuts down',
  141: 'our keep alive did not come in time',
  142: 'another connected with our client id: each bridge needs a TELLTALE_BRIDGE_CLIENT_ID of its own',
  143: 'it does not take this topic filter',
  147: 'more came than it was told to send',
  151: 'a quota is used up there',
  158: 'it has no shared subscriptions: unset TELLTALE_BRIDGE_GROUP',
  162: 'it has no subscriptions with wildcards',
}

export const refusalText = (code: number): string => TEXTS[code] ?? `code 0x${code.toString(16).padStart(2, '0')}`
