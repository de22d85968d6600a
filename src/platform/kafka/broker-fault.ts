import { KafkaJSProtocolError } from 'kafkajs'
import { Fault, messageOf } from '../fault'

/**
 * The `Fault` of a failed request to the broker, with a remedy where the cause is a setting; one that is a
 * `Fault` already stays as it is. `rights` is what the request takes, such as `Write on topic balances`.
 */
export function brokerFault(error: unknown, rights = ''): Fault {
  if (error instanceof Fault) return error
  const message = [messageOf(error), ...remedyOf(error, rights)].join('. ')
  return new Fault('broker_unavailable', `broker unavailable: ${message}`, { cause: error })
}

export const onTopics = (topics: readonly string[]): string => `on ${[...new Set(topics)].join(', ')}`

/** The error of the broker that a failure comes from: the library and `brokerFault` wrap it. */
export function protocolErrorOf(error: unknown): KafkaJSProtocolError | undefined {
  return causesOf(error).find((one) => one instanceof KafkaJSProtocolError)
}

/** The error, and those that it holds and comes from. */
export function causesOf(error: unknown): Error[] {
  if (!(error instanceof Error)) return []
  const within = 'errors' in error && Array.isArray(error.errors) ? error.errors : []
  return [error, ...[...within, error.cause].flatMap(causesOf)]
}

function remedyOf(error: unknown, rights: string): string[] {
  for (const one of causesOf(error)) {
    const signs = [one.name, 'code' in one ? one.code : '', 'type' in one ? one.type : '', one.message].join(
      ' ',
    )
    const found = remedies.find(([pattern]) => pattern.test(signs))
    if (found) return [found[1]]
    if (rights && /_AUTHORIZATION_FAILED/.test(signs)) return [`Allow ${rights}`]
    if (rights && /GroupCoordinatorNotFound/.test(signs)) return [`If it goes on, allow ${rights}`]
  }
  return []
}

/** By name, code, type and message. */
const remedies: readonly [RegExp, string][] = [
  [/ERR_TLS_CERT_ALTNAME_INVALID/, 'The broker has to advertise a host name of its certificate'],
  [/CERT_(HAS_EXPIRED|NOT_YET_VALID)/, 'Renew the certificate of the broker'],
  [/ (CERT|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)_/, 'Set KAFKA_CA_FILE to the CA of the broker'],
  [
    /ALERT.*(CERTIFICATE|UNKNOWN_CA|HANDSHAKE)/,
    'Set KAFKA_CERT_FILE and KAFKA_KEY_FILE to what the broker trusts',
  ],
  [
    /before secure TLS connection/,
    'Use the port of its TLS listener, or KAFKA_SSL=false where there is none',
  ],
  [/SASLAuthentication/, 'Check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD'],
  [/ILLEGAL_SASL_STATE/, 'Use the port of its SASL listener, or unset KAFKA_SASL_MECHANISM'],
  [
    /ConnectionClosed/,
    'If it goes on, the broker may ask for TLS (KAFKA_SSL) or for a login (KAFKA_SASL_MECHANISM)',
  ],
]
