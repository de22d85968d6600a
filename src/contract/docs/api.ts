/** What the OpenAPI documents of both services say about themselves. */
import { version } from '../../../package.json'

const shared = `
**Problems.** Every refusal is Problem Details (RFC 9457). Switch on \`type\` and \`code\`; both keep
their names. \`GET /problems/{name}\` explains each. A path without a route answers 404 \`not-found\`, a
method that a path does not have 405 \`method-not-allowed\` with \`Allow\`.

**Idempotency.** Send an \`Idempotency-Key\` with every \`POST\`, \`PATCH\` and \`DELETE\`. After a lost
response, send the same request again under the same key: it takes effect once, and the first answer is
repeated with \`Idempotency-Replayed: true\`.

**Methods.** \`HEAD\` works wherever \`GET\` does, and \`OPTIONS\` lists the methods of a path.

**Keys.** \`Authorization: Bearer saldo_…\`. Each service has keys of its own, with the scopes \`read\`,
\`write\`, \`admin\` and \`metrics\`, of which none implies another. 401 \`unauthenticated\`: no valid
key; 403 \`insufficient-scope\`: not with this one.

**Money.** Amounts are in major units of their currency: a number of at most 15 significant digits, or
the exact decimal as text.

**Evolution.** Responses gain members, and problems gain codes: ignore what you do not know.`

const walletText = `Clients, accounts, and everything that moves money. Each answered movement is
durable, and published as events.

**Read your writes.** A movement answers with a \`Consistency-Token\`. Send it to the balances service, which
then answers with a state that includes the movement.
${shared}`

const balancesText = `Balances, statements and streams, made from the events of the wallet. It answers
without the wallet and the broker, and says how fresh its answer is in \`Balances-As-Of\` and
\`Balances-Lag\`.

**Read your writes.** Send the \`Consistency-Token\` of a wallet's answer, and \`Prefer: wait=2\` to wait up
to two seconds until it is reached; else 503 \`not-yet-consistent\`.

**Pages.** Lists answer \`next_cursor\` and \`Link: <…>; rel="next"\`. A cursor belongs to its filter.

**Streams.** Server-sent events. A client that reconnects with \`Last-Event-ID\` misses nothing.
${shared}`

/** Where a service serves its document, relative to the document. */
const servers = [{ url: '/', description: 'The service that serves this document.' }]

export const apis = {
  wallet: { title: 'Saldo: wallet', version, description: walletText, servers, url: 'http://localhost:8080' },
  balances: {
    title: 'Saldo: balances',
    version,
    description: balancesText,
    servers,
    url: 'http://localhost:3003',
  },
} as const
