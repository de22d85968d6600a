import { KafkaJSProtocolError } from 'kafkajs'
import { Fault, messageOf } from '../fault'

/** The `Fault` of a failed request to the broker; one that is a `Fault` already stays as it is. */
export const brokerFault = (error: unknown): Fault =>
  error instanceof Fault
    ? error
    : new Fault('broker_unavailable', `broker unavailable: ${messageOf(error)}`, { cause: error })

/** The error of the broker that a failure comes from: the library and `brokerFault` wrap it. */
export function protocolErrorOf(error: unknown): KafkaJSProtocolError | undefined {
  for (let one = error; one instanceof Error; one = one.cause)
    if (one instanceof KafkaJSProtocolError) return one
  return undefined
}
