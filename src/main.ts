/**
 * One service per process, chosen by `SERVICE`. Exit codes: 0 stopped, 1 failed to start, crashed or did not
 * stop in time, 130 or 143 when a second signal cut the shutdown short.
 */

import { ConfigError, readServiceConfig, type ServiceConfig } from './config/config'
import { describeStart, listOff } from './config/describe'
import { SetupError } from './platform/fault'
import { optionsOrExit } from './platform/process/options'
import type { RunningService } from './platform/process/service'
import { onStopSignal } from './platform/process/signals'
import { createLog } from './platform/telemetry/log'

const usage = `Usage: SERVICE=wallet|balances bun src/main.ts
  One service, configured by its environment: DATABASE_URL, KAFKA_BROKERS and what docs/running.md lists.`
const options = optionsOrExit(usage, { lifeline: { type: 'boolean', default: false } })
const config = configOrExit()
const log = createLog({ service: config.service, level: config.logLevel, format: config.logFormat })
const { facts, message } = describeStart(config)
log.info(facts, message)
log.info({ off: listOff(config) }, `off: ${listOff(config).join(', ') || 'nothing'}`)

process.on('uncaughtException', (error) => fail(error, 'crashed on an unhandled error'))
process.on('unhandledRejection', (error) => fail(error, 'crashed on an unhandled rejection'))

let service: RunningService | undefined
let stopping = false

const stop = async (cause: string) => {
  // The same signal often arrives several times: from the terminal, a launcher, an orchestrator.
  if (stopping) return
  stopping = true
  log.info({ cause }, 'stopping')
  // A service that is still starting has nothing to lose.
  await service?.stop()
  log.info({}, 'stopped')
  process.exit(0)
}

onStopSignal((signal) => stop(signal).catch((error) => fail(error, 'could not stop cleanly')))

// The parent process holds the other end of standard input. When it is gone, so are its database and broker.
if (options.lifeline) {
  process.stdin.on('end', () => {
    setTimeout(() => process.exit(1), 1500)
    stop('lifeline closed').catch((error) => fail(error, 'could not stop cleanly'))
  })
  process.stdin.resume()
}

try {
  // Only its own files are loaded, so that only changes to them restart it under `--watch`.
  service =
    config.service === 'wallet'
      ? await (await import('./wallet/service')).startWallet(config, log)
      : await (await import('./balances/service')).startBalances(config, log)
} catch (error) {
  if (!stopping) fail(error, 'could not start')
}

function configOrExit(): ServiceConfig {
  try {
    return readServiceConfig(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error(error.message)
    process.exit(1)
  }
}

function fail(error: unknown, message: string): never {
  // A setup error is a sentence with its remedy. For anything else the stack is worth having.
  if (error instanceof SetupError) log.error({}, `${config.service} ${message}: ${error.message}`)
  else log.error({ error }, `${config.service} ${message}`)
  process.exit(1)
}
