/** The HTTP of the read side: one table of routes, a file for each capability. */
import type { KafkaConfig } from '../../config/config'
import { apis } from '../../contract/docs/api'
import { eventDocuments, type Use } from '../../contract/docs/asyncapi'
import { parseJson } from '../../contract/wire/json'
import { createHttp, type Health, type HttpOptions, tableOf } from '../../platform/http/app'
import type { Guard } from '../../platform/http/guard'
import type { Log } from '../../platform/telemetry/log'
import type { Documents } from '../console/documents'
import type { FlowFeed } from '../console/flow-feed'
import type { Records } from '../console/records'
import type { DeadLetterQueries } from '../dead-letters/queries'
import type { RedriveReport, RedriveSelection } from '../dead-letters/redrive'
import type { FreshnessMonitor } from '../freshness/freshness'
import type { Consistency } from '../freshness/read-your-writes'
import type { Once } from '../idempotency/once'
import type { Reads } from '../queries/queries'
import type { RebuildCoordinator } from '../rebuild/coordinator'
import type { ReconciliationQueries } from '../reconciliations/queries'
import type { BalanceStreams } from '../streams/streams'
import { balanceRoutes } from './balances'
import { ConsistentReads } from './consistent-reads'
import { type ConsoleOptions, consoleRoutes } from './console'
import { type ConsoleActions, consoleActionRoutes } from './console-actions'
import { consoleFlowRoutes } from './console-flow'
import { consoleRecordRoutes } from './console-records'
import { deadLetterRoutes } from './dead-letters'
import { documentRoutes } from './documents'
import { type ListLargeMovements, largeMovementRoutes } from './large-movements'
import { rebuildRoutes } from './rebuild'
import { reconciliationRoutes } from './reconciliations'
import { statementRoutes } from './statements'
import { streamRoutes } from './streams'

export type BalancesOptions = {
  reads: Reads
  deadLetters: DeadLetterQueries
  largeMovements: ListLargeMovements
  reconciliations: ReconciliationQueries
  redrive: (selection: RedriveSelection, dryRun: boolean) => Promise<RedriveReport>
  once: Once
  consistency: Pick<Consistency, 'waitForVersions'>
  monitor: Pick<FreshnessMonitor, 'freshness' | 'waitUntil'>
  rebuilding: Pick<RebuildCoordinator, 'status' | 'request'>
  streams: Pick<BalanceStreams, 'account' | 'all'>
  records: Records
  console: ConsoleOptions
  documentation: Documents
  flow: Pick<FlowFeed, 'open'>
  actions: ConsoleActions
  log: Log
  health: Health
  metrics: HttpOptions['metrics']
  guard: Guard
  isReady: () => boolean
  kafka: KafkaConfig
  /** All that it consumes, for the documentation. */
  uses: readonly Use[]
}

export const createBalancesApp = (options: BalancesOptions) => createHttp(httpOptions(options))

/** All routes of the service. */
export const balancesRoutes = (options: BalancesOptions) => tableOf(httpOptions(options))

function httpOptions(options: BalancesOptions): HttpOptions {
  const { reads, streams, log, health, metrics, guard, isReady, kafka, uses } = options
  const consistent = new ConsistentReads(options)
  return {
    log,
    parseJson,
    api: apis.balances,
    documents: eventDocuments({ service: 'balances', action: 'receive', uses, kafka }),
    health,
    metrics,
    guard,
    isReady,
    routes: [
      ...balanceRoutes(reads, consistent),
      ...statementRoutes(reads, consistent),
      ...streamRoutes(reads, streams),
      ...largeMovementRoutes(options.largeMovements),
      ...deadLetterRoutes(options.deadLetters, options.redrive, options.once),
      ...reconciliationRoutes(options.reconciliations),
      ...rebuildRoutes(options.rebuilding, options.once),
      ...consoleRecordRoutes(options.records),
      ...consoleRoutes(options.console),
      ...documentRoutes(options.documentation),
      ...consoleFlowRoutes(options.flow),
      ...consoleActionRoutes(options.actions, options.once, log),
    ],
  }
}
