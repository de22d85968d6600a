/** What an event waits for that is committed and not published yet. */
import type { Kafka } from '../../platform/kafka/client'
import type { Database } from '../../platform/postgres/database'
import { late, within } from '../../platform/process/retry'
import { tooLarge } from './health'
import { isLed } from './outbox-store'
import type { Relay, RelayState } from './relay'

export const waitCauses = ['relay', 'broker', 'send'] as const

export type Wait = {
  /** `relay`: no process leads. `broker`: it does not answer. `send`: its turn, or a send that fails. */
  cause: (typeof waitCauses)[number]
  /** For people: why sends fail. */
  detail: string | null
}

/** How long the broker may take to answer, in milliseconds. */
const brokerMs = 400

export function explainWait(
  { trouble, refused }: Pick<RelayState, 'trouble' | 'refused'>,
  { isLed, isBrokerReachable }: { isLed: boolean; isBrokerReachable: boolean },
): Wait {
  if (!isLed) return { cause: 'relay', detail: null }
  if (!isBrokerReachable) return { cause: 'broker', detail: null }
  return { cause: 'send', detail: trouble ?? tooLarge(refused) ?? null }
}

type Means = { sql: Database['sql']; kafka: Pick<Kafka, 'isReachable'>; relay: Pick<Relay, 'state'> }

/** The relay may be that of another process: its troubles are known there only. */
export function createWaiting({ sql, kafka, relay }: Means): () => Promise<Wait> {
  let asking: Promise<boolean> | undefined
  /** Requests at the same time share a question. */
  const isBrokerReachable = async () => {
    asking ??= kafka.isReachable().finally(() => {
      asking = undefined
    })
    const answer = await within(asking, brokerMs)
    return answer !== late && answer
  }
  return async () => {
    const [led, isReachable] = await Promise.all([isLed(sql), isBrokerReachable()])
    return explainWait(relay.state(), { isLed: led, isBrokerReachable: isReachable })
  }
}
