/**
 * Keeps every process of an installation to the same answer: a command from a shell without the
 * settings of the service would apply what the service has rejected.
 */
import { SetupError } from '../../platform/fault'
import type { Statements } from '../../platform/postgres/statements'
import type { Log } from '../../platform/telemetry/log'
import { acceptUnsigned, requireSigned, signedSince } from './signed-events-store'
import type { Verification } from './topics'

/** For a service, at its start. Only `off` in so many words ends the requirement; else `SetupError`. */
export async function settleVerification(
  sql: Statements,
  { verify, verifyKeys }: Verification,
  log: Log,
): Promise<void> {
  if (verify === 'required') {
    await requireSigned(sql)
    log.info({ keys: verifyKeys.map(({ id }) => id) }, 'verifying signatures of events')
  } else if (verify === undefined)
    await refuseUnverified(sql, ', or EVENTS_VERIFY=off to accept unsigned events again')
  else if (await acceptUnsigned(sql)) log.warn({}, 'unsigned events are accepted again')
}

/** For a command: throws `SetupError` where it would not verify and the service does. */
export async function checkVerification(sql: Statements, { verify }: Verification): Promise<void> {
  if (verify !== 'required') await refuseUnverified(sql, ' as the service has them')
}

async function refuseUnverified(sql: Statements, remedy: string): Promise<void> {
  const since = await signedSince(sql)
  if (since !== undefined)
    throw new SetupError(
      `Events have to be signed in this database, since ${since}. ` +
        `Set EVENTS_VERIFY=required and EVENTS_VERIFY_KEYS${remedy}.`,
    )
}
