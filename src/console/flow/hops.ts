/** What happens at each hop, and where it is described. */
import type { HopName } from '../lanes.ts'
import type { FlowText } from './messages.ts'

type Hop = {
  /** Where the time before it passes. */
  stage: 'wallet' | 'broker' | 'balances'
  name: FlowText
  pattern: FlowText
  text: FlowText
  /** A heading of the concepts. */
  anchor: string
}

export const hops: Readonly<Record<HopName, Hop>> = {
  requested: {
    stage: 'wallet',
    name: 'requested',
    pattern: 'requestedPattern',
    text: 'requestedText',
    anchor: 'cqs-commandquery-separation',
  },
  decided: {
    stage: 'wallet',
    name: 'decided',
    pattern: 'decidedPattern',
    text: 'decidedText',
    anchor: 'ordering-and-versions',
  },
  appended: {
    stage: 'wallet',
    name: 'appended',
    pattern: 'appendedPattern',
    text: 'appendedText',
    anchor: 'transactional-outbox',
  },
  published: {
    stage: 'broker',
    name: 'published',
    pattern: 'publishedPattern',
    text: 'publishedText',
    anchor: 'at-least-once-and-exactly-once-in-effect',
  },
  received: {
    stage: 'broker',
    name: 'received',
    pattern: 'receivedPattern',
    text: 'receivedText',
    anchor: 'event-carried-state-transfer',
  },
  applied: {
    stage: 'balances',
    name: 'appliedHop',
    pattern: 'appliedPattern',
    text: 'appliedText',
    anchor: 'idempotent-consumer',
  },
  visible: {
    stage: 'balances',
    name: 'visible',
    pattern: 'visiblePattern',
    text: 'visibleText',
    anchor: 'cqrs-separate-models-for-writes-and-reads',
  },
}

export const linkOf = ({ anchor }: Pick<Hop, 'anchor'>): string => `/docs/concepts#${anchor}`
