/** The readiness of the outbox: how much is waiting, and whether the relay makes progress. */
import type { Kafka } from '../../platform/kafka/client'
import type { Database } from '../../platform/postgres/database'
import { withTimeout } from '../../platform/postgres/failures'
import type { Check } from '../../platform/process/service'
import { measureOutbox, pendingMax } from './outbox-store'
import type { Relay, RelayState } from './relay'

/** An event that waits longer than this is worth a warning, in milliseconds. */
const ageMaxMs = 10_000
/** From this many refused events on, the limit of a topic is wrong, not an event too large. */
const refusedMax = 3

export type OutboxHealth = {
  database: Database
  kafka: Pick<Kafka, 'isReachable'>
  relay: Pick<Relay, 'state'>
  /** How long a reachable broker may accept nothing, in milliseconds. */
  standstillMaxMs: number
}

export async function outboxHealth({
  database,
  kafka,
  relay,
  standstillMaxMs,
}: OutboxHealth): Promise<Check> {
  const outbox = await withTimeout(measureOutbox(database.sql))
  const check = checkOutbox(outbox, relay.state(), standstillMaxMs)
  return check.status !== 'fail' || (await kafka.isReachable()) ? check : { ...check, status: 'warn' }
}

type Outbox = Awaited<ReturnType<typeof measureOutbox>>

/**
 * An absent broker only warns: the outbox keeps the events, and the wallet keeps working. A broker
 * that answers and accepts nothing fails the check: an operator has to look.
 */
export function checkOutbox(outbox: Outbox, state: RelayState, standstillMaxMs: number): Check {
  const { trouble, refused, standstillMs } = state
  const count = outbox.pending > pendingMax ? `more than ${pendingMax}` : outbox.pending
  const waiting = `${count} events wait, the oldest for ${Math.round(outbox.oldestAgeMs / 1000)} s`
  const output = [waiting, trouble, tooLarge(refused)].filter((part) => part !== undefined).join(': ')

  const isStuck = trouble !== undefined || refused.length >= refusedMax
  if (isStuck && Math.min(standstillMs, outbox.oldestAgeMs) > standstillMaxMs)
    return { status: 'fail', output }
  const isWorthWarning = trouble !== undefined || refused.length > 0 || outbox.oldestAgeMs > ageMaxMs
  return { status: isWorthWarning ? 'warn' : 'pass', output }
}

export function tooLarge([first, ...others]: RelayState['refused']): string | undefined {
  if (!first) return undefined
  const count = others.length === 0 ? 'one event' : `${others.length + 1} events`
  return (
    `the broker refuses ${count} as too large, such as ${first.id} ` +
    `(${first.bytes} bytes, topic ${first.topic}): ` +
    'raise max.message.bytes of the topic; they are retried every minute'
  )
}
