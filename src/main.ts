/**
 * One service per process, chosen by `SERVICE`. The only place with signals and exit codes: 0
 * stopped as asked, 1 could not start or broke, 130 and the like when a second signal cut the
 * stopping short.
 */

import { startBalances } from './balances/service'
import { ConfigError, readServiceConfig, type ServiceConfig } from './config/config'
import { SetupError } from './platform/fault'
import { optionsOrExit } from './platform/process/options'
import type { RunningService } from './platform/process/service'
import { onStopSignal } from './platform/process/signals'
import { createLog } from './platform/telemetry/log'
import { startWallet } from './wallet/service'

const usage = `Usage: SERVICE=wallet|balances bun src/main.ts
  One service, set up by its environment: DATABASE_URL, KAFKA_BROKERS and what docs/running.md lists.`
const options = optionsOrExit(usage, { lifeline: { type: 'boolean', default: false } })
const config = configOrExit()
const log = createLog({ service: config.service, level: config.logLevel, format: config.logFormat })

process.on('uncaughtException', (error) => fail(error, 'broke on an error that nobody handled'))
process.on('unhandledRejection', (error) => fail(error, 'broke on a rejection that nobody handled'))

let service: RunningService | undefined
let stopping = false

const stop = async (cause: string) => {
  // The same wish often arrives two or three times: from the terminal, from a launcher, from an orchestrator.
  if (stopping) return
  stopping = true
  log.info({ cause }, 'stopping')
  // Before it has started, nobody was answered and nothing can be lost.
  await service?.stop()
  log.info({}, 'stopped')
  process.exit(0)
}

onStopSignal((signal) => stop(signal).catch((error) => fail(error, 'could not stop cleanly')))

// Whoever started this process holds the other end of its standard input. When that is gone, so are
// the database and the broker, or soon will be.
if (options.lifeline) {
  process.stdin.on('end', () => {
    setTimeout(() => process.exit(1), 1500)
    stop('lifeline closed').catch((error) => fail(error, 'could not stop cleanly'))
  })
  process.stdin.resume()
}

try {
  service = await (config.service === 'wallet' ? startWallet(config, log) : startBalances(config, log))
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
  // What is wrong with the setup is told in a sentence; the stack of anything else is worth having.
  if (error instanceof SetupError) log.error({}, `${config.service} ${message}: ${error.message}`)
  else log.error({ error }, `${config.service} ${message}`)
  process.exit(1)
}
