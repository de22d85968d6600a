/** What the console can do to a running system so that its behaviour shows: for demonstrations. */
import { randomInt } from 'node:crypto'
import { events } from '../../contract/events/events'
import { Fault } from '../../platform/fault'
import type { Kafka } from '../../platform/kafka/client'
import type { RecordCoordinates } from '../../platform/kafka/offsets'
import type { Supervised } from './supervisor'

/** By name. The last four are done by the supervisor of `npm start`. */
export const actionNames = [
  'pause-projection',
  'resume-projection',
  'poison-record',
  'course-record',
  'stop-broker',
  'start-broker',
  'kill-wallet',
  'kill-balances',
] as const
export type ActionName = (typeof actionNames)[number]

/** What an action has caused. */
export type ActionDone = { done: string; published?: PublishedRecord; accounts?: [from: string, to: string] }
export type PublishedRecord = { topic: string; partition: number; offset: bigint }
/** `needs_local_run`: there is no supervisor. `not_possible`: it refuses, or its state does. */
export type ActionRefused = { refusal: 'needs_local_run' | 'not_possible'; detail: string }

export type RunAction = (name: ActionName) => Promise<ActionDone | ActionRefused>

/** The consumer of this process: another replica takes over its partitions while it is paused. */
type Projection = { pause(reason: string): Promise<void>; resume(): void }

export type ActionOptions = {
  kafka: Pick<Kafka, 'publisher'>
  topicPrefix: string
  projection: Projection
  /** Undefined unless `npm start` runs this process. */
  supervisor: ((action: ActionName) => Promise<Supervised>) | undefined
}

export const pauseReason =
  'the projection is paused on purpose: POST /console/actions/resume-projection, or a restart, resumes it'

export function createActions({ kafka, topicPrefix, projection, supervisor }: ActionOptions): RunAction {
  const topic = topicPrefix + events.BalanceUpdated.topic
  const publish = async (value: string): Promise<PublishedRecord> => ({
    topic,
    ...(await publishOnce(kafka, topic, value)),
  })
  const ownActions: Partial<Record<ActionName, () => Promise<ActionDone>>> = {
    async 'pause-projection'() {
      await projection.pause(pauseReason)
      return { done: 'the projection of this process is paused' }
    },
    async 'resume-projection'() {
      projection.resume()
      return { done: 'the projection of this process is resumed' }
    },
    'poison-record': async () => ({
      done: 'a record that is not JSON was published',
      published: await publish(poison),
    }),
    async 'course-record'() {
      const published = await publish(courseRecord(BigInt(randomInt(0, courseSum + 1))))
      return { done: "a record of the course's form was published", published, accounts: courseAccounts }
    },
  }
  return async (name) => {
    const act = ownActions[name]
    if (act) return act()
    if (!supervisor)
      return {
        refusal: 'needs_local_run',
        detail: `${name} needs npm start, which does not run this process`,
      }
    const answer = await supervisor(name)
    return 'done' in answer ? answer : { refusal: 'not_possible', detail: answer.refusal }
  }
}

const poison = 'This record is not JSON. The console has published it, to show what becomes of such a one.'

/** As in docs/course.md: accounts that the wallet does not have, and what they hold together. */
const courseAccounts: [string, string] = ['ana', 'bia']
const courseSum = 2000

/** Without key and headers, versions and currency, as the course's wallet writes it. */
export function courseRecord(balance: bigint): string {
  const [from, to] = courseAccounts.map((id) => JSON.stringify(id))
  return (
    `{"Name":"BalanceUpdated","Payload":{"account_id_from":${from},"account_id_to":${to},` +
    `"balance_account_id_from":${balance},"balance_account_id_to":${BigInt(courseSum) - balance}}}`
  )
}

async function publishOnce(
  kafka: Pick<Kafka, 'publisher'>,
  topic: string,
  value: string,
): Promise<RecordCoordinates> {
  const publisher = kafka.publisher()
  try {
    const [result] = await publisher.send([{ topic, key: null, value, headers: [] }])
    if (typeof result !== 'object')
      throw new Fault('broker_unavailable', `${topic} takes no record: ${result}`)
    return result
  } finally {
    await publisher.close().catch(() => {})
  }
}
