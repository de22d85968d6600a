import { Fault, messageOf } from '../fault'

/** The `Fault` of a failed request to the broker; one that is a `Fault` already stays as it is. */
export const brokerFault = (error: unknown): Fault =>
  error instanceof Fault
    ? error
    : new Fault('broker_unavailable', `broker unavailable: ${messageOf(error)}`, { cause: error })
