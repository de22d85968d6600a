/** The events as Markdown: `docs/events.md`, and the page of both services. */
import type { TSchema } from '@sinclair/typebox'
import type { EventDefinition } from '../events/define-event'
import { events, type SaldoEvent } from '../events/events'
import { cloudEventHeaders, encodeEvent, epochHeader, walletSource } from '../wire/envelope'
import { createSigner, signatureHeader } from '../wire/signature'
import { timelineHeader } from '../wire/timeline'

export const headerMeanings = {
  ce_specversion: 'The CloudEvents version.',
  ce_id: 'Identifies the fact: stable across redelivery and republication.',
  ce_source: 'The publisher. Unique together with `ce_id`.',
  ce_type: 'The event, and the major version of its payload.',
  ce_time: 'When it happened, in RFC 3339, UTC.',
  ce_subject: 'A client, account, transaction, hold, or change of one; a leg is `<transaction>/<leg>`.',
  [epochHeader]: 'The epoch of the ledger, from 2 on, where it was restored: see Epochs.',
  'content-type': 'The format of the value.',
  [timelineHeader]: 'When the event passed the stages of the wallet: see Timelines.',
  traceparent: 'W3C Trace Context of the request that caused it; a trace of its own without a request.',
  [signatureHeader]: 'That the wallet has sent the record as it is, if it signs: see Signatures.',
} as const
type HeaderName = keyof typeof headerMeanings
/** Those that a record of ours may lack. Older ones have no trace when no request led to them. */
export const optionalHeaders: readonly HeaderName[] = [
  'traceparent',
  epochHeader,
  timelineHeader,
  signatureHeader,
]

const exampleTimeline = '1764284400123.4,0.8,3.9,5.2'

/** The example of an event as a record, with its value parsed. */
export function exampleRecord({ name, example }: EventDefinition) {
  const encoded = encodeEvent({ name, payload: example } as SaldoEvent, '')
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const headers: Record<string, string> = {
    ...cloudEventHeaders(walletSource, encoded),
    [timelineHeader]: exampleTimeline,
    traceparent,
  }
  return {
    key: encoded.key,
    headers,
    value: JSON.parse(encoded.value) as object,
  }
}

/** `asyncApi` is how to mention the AsyncAPI document, in Markdown. */
export function describeEvents({ topicPrefix, asyncApi }: { topicPrefix: string; asyncApi: string }): string {
  const all = Object.values(events)
  const summary = all.map(({ name, kind, topic, key }) => [
    `[${name}](#${name.toLowerCase()})`,
    kind,
    topicPrefix + topic,
    code(key),
  ])
  const sections = [
    introduction(table(['Event', 'Kind', 'Topic', 'Key'], summary)),
    wireFormat,
    epochs,
    timelines,
    signatures(),
    courseCompatibility,
    evolution(asyncApi),
    ...all.map((event) => section(event, topicPrefix)),
  ]
  return `${sections.join('\n\n')}\n`
}

const introduction = (summary: string): string => `# The events of Saldo

The wallet publishes, balances builds its read model from it, and anyone may subscribe. This page is the
whole contract between them.

${summary}

- An **event notification** says that something happened. Readers query for details.
- **Event-carried state transfer** brings all the data that a reader keeps, so that no query is needed.
- In an **event collaboration** each service does its own part of a process, without a coordinator.`

const wireFormat = `## On the wire

The value of a record is a JSON envelope, \`{"Name": "BalanceUpdated", "Payload": {…}}\`. Its headers make
it a [CloudEvent](https://cloudevents.io) in binary mode as well:

${table(
  ['Header', 'Meaning'],
  Object.entries(headerMeanings).map(([name, meaning]) => [code(name), meaning]),
)}

**Amounts** are JSON numbers in major units (10.25), with at most the decimals of their currency and 15
digits, so that every reader gets them exactly. Only the balance of \`world\`, the sum of all others, may
have 18 digits. Its number is then the nearest one, and the field \`exact_…\` beside it has the exact
balance as text.

**Currencies** are ISO 4217 codes. **Times** are RFC 3339, UTC, with milliseconds. In other writers' times
anything finer is dropped, and a time that does not exist, such as 30 February, makes a dead letter.
**Ids** are opaque, but UUIDs are compared without regard to letter case. The account \`world\`, one for
each currency, is the outside: deposits come from it and withdrawals go to it.

**Delivery** is at least once: handle redeliveries idempotently. Records with the same key are in order.
An event about two accounts can be in order for one of them only, so \`BalanceUpdated\` carries the
version of both: keep the higher one. Ignore unknown fields and events.`

const epochs = `## Epochs

A ledger that is restored from a backup has lost what came after it, but readers have it already. So a
restored ledger starts a new epoch, and all its events from then on carry the number in the header
\`ce_epoch\`. Events without it are of epoch 1. Many ledgers never leave that.

An epoch starts with the newest event of each client on topic \`personal-data\`, and for each account with a
\`BalanceUpdated\` that has \`starts_epoch\`: the account as it is now, on both sides of the event, and no
movement. An \`EpochStarted\` at the end says how many there are. What a reader does, in any order of arrival:

- Of the state of an account, the higher epoch wins, and in one epoch the higher version.
- Of two events about one version of an account, the one of the higher epoch is true.
- Once it has the start of an epoch for an account, events of earlier epochs about later versions are void:
  those that came before are removed, and those that still come are ignored.
- Once it has as many starts as \`EpochStarted\` says, accounts and clients of earlier epochs that have none
  are removed.

So the end is the same in any order, and after any repetition. Events without versions are of other writers,
and of no epoch. An erasure of personal data stays, in any epoch.`

const timelines = `## Timelines

An event that a request led to says when it passed the stages of the wallet, in \`${timelineHeader}\`:
\`${exampleTimeline}\`. The first number is when the request arrived, in milliseconds since 1970. The
others are milliseconds after it, each of which may be absent or negative:

1. when the command was decided
2. when the database had acknowledged the commit, if the process that sends the event has committed it
3. when the relay took the event up for sending, which a redelivery does again

They are by the clocks of the wallet's machines, and for display only: nothing is decided by them. Ignore a
header that is absent or of another form.`

/** A function, since it signs its example. */
function signatures(): string {
  const secret = Uint8Array.from({ length: 32 }, (_, index) => index)
  const record = { topic: 'balances', key: 'eva', value: '{}', headers: [['ce_type', 'example']] } as const
  return `## Signatures

A wallet with signing keys adds the header ${code(signatureHeader)} to each record:
\`v1;<key id>;<signature>\`. The signature is the HMAC-SHA256, in Base64, of these fields in this order:

1. the text \`saldo-signature/v1\`
2. the id of the key
3. the topic, as the broker knows it
4. the key of the record
5. the value
6. name and value of each header that is \`content-type\` or begins with \`ce_\`, in the order of the
   record, repeated ones included

Each field is its length, in four bytes with the highest first, and then its bytes. What is absent has the
length \`0xffffffff\` and no bytes. With the bytes 0 to 31 as key \`demo\`, the record of
topic \`balances\` with key \`eva\`, value \`{}\` and header \`ce_type: example\` has the signature
${code(createSigner({ id: 'demo', secret })(record))}.

So a record can be neither changed nor moved to another topic or event. Not signed are the offset, the
timestamp of the record, which no event of ours needs, and \`traceparent\`. A copy of a signed record is as
valid as the original: versions make it harmless. A record with two signatures is not valid. The keys are
secret: who can verify can sign.`
}

/** Each is in the corpus. */
const courseForms = table(
  ['Form', 'Example'],
  [
    ['as the course writes it', '{"Name": "BalanceUpdated", "Payload": {"account_id_from": …}}'],
    ['the payload alone', '{"account_id_from": …, "balance_account_id_from": …}'],
    ['the name beside the fields', '{"name": "BalanceUpdated", "account_id_from": …}'],
    ['other letter case', '{"name": "BalanceUpdated", "payload": {…}}'],
    ['`data` for `payload`', '{"Name": "BalanceUpdated", "Data": {…}}'],
    ['`event`, `eventName` or `type` for `name`', '{"event": "BalanceUpdated", "data": {…}}'],
    ['fields in camelCase', '{"Name": "BalanceUpdated", "Payload": {"accountIdFrom": …}}'],
    ['fields as Go calls them', '{"Name": "BalanceUpdated", "Payload": {"AccountIDFrom": …}}'],
  ].map(([form = '', example = '']) => [form, code(example)]),
)

const courseCompatibility = `## With the course's services

Saldo answers a challenge of a course, and either side may be replaced by the course's own service.
Topics, names and fields that the course's services know are theirs; Saldo adds fields and headers. They
take every record of topic \`balances\` for a \`BalanceUpdated\`, so no other event is published there.
They know no versions and rely on the order of the log, so their topics need a single partition: set
\`KAFKA_PARTITIONS=1\` before the topics are created.

**Computed amounts.** Some compute in binary floating point and write 999.6999999999999 for 999.70. In an
event without versions, a number within 8 units in the last place of a minor unit is read as that minor
unit (below 1, the units of 1 count), with any number of digits. Anything further away is a dead letter.
So is such a number when the balances are so large that neighbouring minor units are no longer
distinguishable this way: from about 500 billion on, with two decimals.

**One kind of writer for each account.** An account is moved by events with versions or by events without,
never by both: the wallet's versions and those counted from the log do not match. The first event that
moves the account decides. An event of the other kind is a dead letter with the cause \`source_conflict\`.
An account that was only opened, or came with the seed of the read side, is undecided. Likewise an account
has one currency: an event in another is a dead letter (\`currency_mismatch\`). An event without a
currency is in that of the account, and in BRL if the account is unknown.

**Formats.** Records are read without key, headers and versions, and in the forms of public wallets of the
course:

${courseForms}

- A value without a name is a BalanceUpdated or a TransactionCreated if it has all of its required fields,
  in any spelling. Otherwise it is a dead letter (\`no_envelope\`).
- Fields are matched in any letter case, with and without \`_\` and \`-\`, and under the other names that
  their event lists below. Optional times (\`created_at\`, \`effective_at\`) are matched by their own name
  only, because other writers have formats of their own for them.
- Null in an optional field counts as absent.
- Nothing is guessed: a field, name or payload that is given twice with different values makes a dead
  letter.

CloudEvents are read in structured mode, too, and with a payload alone as their data.`

const evolution = (asyncApi: string): string => `## How events change

Inside a major version only optional fields are added. Any other change is a new major version, with which
\`ce_type\` ends; events of older versions are converted when they are read. The JSON Schema of each
version stays in \`docs/events/<event>.v<major>.json\`. Both services serve the contract as AsyncAPI at
${asyncApi}, with the topics and brokers of their installation.`

function section(event: EventDefinition, topicPrefix: string): string {
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

function otherNames({ aliases }: EventDefinition): string {
  if (!aliases) return ''
  const names = Object.entries(aliases).map(([theirs, ours]) => `${code(theirs)} for ${code(ours)}`)
  return `\nAlso read: ${names.join(', ')}.\n`
}

/** The type of a field in words, for the schemas that the definitions use. */
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
