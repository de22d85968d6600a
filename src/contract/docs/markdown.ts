/** The events as a text for people, in Markdown: `docs/events.md`, and the page of both services. */
import type { TSchema } from '@sinclair/typebox'
import { events } from '../events/events'
import { type AnyEvent, exampleRecord, headerMeanings } from './catalogue'

/**
 * The prefix is that of the installation; `asyncApi` is how to mention the AsyncAPI document, in
 * Markdown.
 */
export function describeEvents({ topicPrefix, asyncApi }: { topicPrefix: string; asyncApi: string }): string {
  const all = Object.values(events)
  return `# The events of Saldo

The wallet tells what happens, balances makes its answers of it, and anybody else may listen: all that joins the services is on this page.

${table(
  ['Event', 'Kind', 'Topic', 'Key'],
  all.map(({ name, kind, topic, key }) => [
    `[${name}](#${name.toLowerCase()})`,
    kind,
    topicPrefix + topic,
    code(key),
  ]),
)}

- An **event notification** tells that something happened. Who wants to know more has to ask.
- **Event-carried state transfer** brings along all that a reader keeps, so that nobody has to ask.
- In an **event collaboration** each service does its own part when it hears of the event, and nobody is in charge.

## On the wire

The value of a record is JSON in an envelope, \`{"Name": "BalanceUpdated", "Payload": {…}}\`. The headers make it a
[CloudEvent](https://cloudevents.io) in binary mode as well:

${table(
  ['Header', 'Meaning'],
  Object.entries(headerMeanings).map(([name, meaning]) => [code(name), meaning]),
)}

Amounts are JSON numbers in major units of their currency (10.25), with no more decimals than it has and at most 15 digits, so that nothing
is rounded on the way. The balance of \`world\`, the sum of all others, may have 18 digits: then the number is the nearest there is, and the field
\`exact_…\` beside it has the balance as text. Currencies are ISO 4217, times RFC 3339 in UTC, with milliseconds (of other
writers' times what is finer is left out; one that does not exist, such as 30 February, makes a dead letter). Ids are opaque, but
UUIDs are the same in either letter case. The account \`world\`, one for each currency, stands
for the outside: money comes from there and goes there.

A record may come more than once, and says nothing new then. Records of one key are in order. An event that speaks of two accounts can be
in the order of one of them only, so a \`BalanceUpdated\` bears the version of both: keep the newer. Fields and events that a reader does not
know are to be passed over.

## With the course's services

Saldo answers a challenge of a course, whose own services may stand on either side. The topics, names and fields that they know are theirs;
ours stand beside, and headers do not concern them. They take every record of topic \`balances\` for a \`BalanceUpdated\`, so nothing else is
ever sent there. Since they know no versions, their topics need one partition (\`KAFKA_PARTITIONS=1\` before the topics are created).

Some compute in binary floating point and write 999.6999999999999 for 999.70. In an event without versions a number that is at most 8 units in
the last place away from a minor unit of the currency is that minor unit. (Below 1 the units of 1 count.) Anything further away is a dead
letter, and so is such a number among balances so large that minor units are not far apart by this measure: from about 500 billion on with two decimals.

An account is moved by events with versions or by records without, never by both: the versions that the wallet gives and those that are counted
from the order of the log do not fit each other. Whichever kind moves an account first has it, and a record of the other kind is a dead letter with the
cause \`source_conflict\`. An account that was only opened, or came with the read side's seed, is still anybody's. Likewise an account has one
currency: an event in another one is a dead letter (\`currency_mismatch\`), and one that names none is in the currency of the account, BRL where
nothing is known of it.

What they write is read, without key, headers or versions. So are the forms in which public wallets of the course write the same:

${table(['Form', 'Example'], courseForms)}

- A value without a name is a BalanceUpdated or a TransactionCreated when it has all of its required fields, in any spelling, and else a dead
  letter (\`no_envelope\`).
- A field is the same in any letter case, with or without \`_\` and \`-\`, and under the other names that its event lists below. Optional times
  (\`created_at\`, \`effective_at\`) go by their own name alone, since others write them in forms of their own.
- Nothing is guessed: a field, a name or a payload that is given twice and not alike is a dead letter.

CloudEvents are read in structured mode, too, and with a payload alone as their data.

## How events change

Inside a major version fields are only added, and those are optional. Whatever else changes is a new major version, which \`ce_type\` ends in;
older ones are brought up to it when they are read. The JSON Schema of each version is a file, for ever: \`docs/events/<event>.v<major>.json\`.
The same as AsyncAPI, with the topics and brokers of an installation, is at ${asyncApi} of both services.

${all.map((event) => section(event, topicPrefix)).join('\n\n')}
`
}

/** Each is in the corpus. */
const courseForms = [
  ['as the course writes it', '{"Name": "BalanceUpdated", "Payload": {"account_id_from": …}}'],
  ['the payload alone', '{"account_id_from": …, "balance_account_id_from": …}'],
  ['the name beside the fields', '{"name": "BalanceUpdated", "account_id_from": …}'],
  ['other letter case', '{"name": "BalanceUpdated", "payload": {…}}'],
  ['`data` for `payload`', '{"Name": "BalanceUpdated", "Data": {…}}'],
  ['`event`, `eventName` or `type` for `name`', '{"event": "BalanceUpdated", "data": {…}}'],
  ['fields in camelCase', '{"Name": "BalanceUpdated", "Payload": {"accountIdFrom": …}}'],
  ['fields as Go calls them', '{"Name": "BalanceUpdated", "Payload": {"AccountIDFrom": …}}'],
].map(([form = '', example = '']) => [form, code(example)])

function section(event: AnyEvent, topicPrefix: string): string {
  const { name, kind, topic, key, type, description, payload } = event
  const fields = Object.entries(payload.properties).map(([field, schema]) => [
    code(field),
    typeOf(schema),
    payload.required?.includes(field) ? 'yes' : '',
    String(schema.description),
  ])
  return `## ${name}

${description}

*${kind}* · topic ${code(topicPrefix + topic)} · key ${code(key)} · type ${code(type)}

${table(['Field', 'Type', 'Required', 'Meaning'], fields)}
${otherNames(event)}
\`\`\`json
${JSON.stringify(exampleRecord(event), null, 2)}
\`\`\``
}

function otherNames({ aliases }: AnyEvent): string {
  if (!aliases) return ''
  const names = Object.entries(aliases).map(([theirs, ours]) => `${code(theirs)} for ${code(ours)}`)
  return `\nAlso read: ${names.join(', ')}.\n`
}

/** As much of a schema as the definitions use, in words. */
function typeOf(schema: TSchema): string {
  const { type, anyOf, minLength, maxLength, minimum, pattern } = schema
  if ('const' in schema) return code(JSON.stringify(schema.const))
  if (Array.isArray(anyOf)) return anyOf.map(typeOf).join(' or ')
  const bounds = [
    maxLength === undefined ? '' : `, ${minLength} to ${maxLength} characters`,
    minimum === undefined ? '' : `, at least ${minimum}`,
    pattern === undefined ? '' : `, ${code(String(pattern))}`,
  ]
  return `${type}${bounds.join('')}`
}

function table(head: string[], rows: string[][]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|')
  return [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map(cell).join(' | ')} |`)
    .join('\n')
}

function code(text: string): string {
  return `\`${text}\``
}
