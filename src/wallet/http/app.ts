/** The HTTP of the wallet: one table of routes, a file for each capability. */
import type { KafkaConfig } from '../../config/config'
import { apis } from '../../contract/docs/api'
import { eventDocuments } from '../../contract/docs/asyncapi'
import { topics } from '../../contract/events/events'
import { parseJson } from '../../contract/wire/json'
import { createHttp, type Health, type HttpOptions, tableOf } from '../../platform/http/app'
import type { Guard } from '../../platform/http/guard'
import type { Log } from '../../platform/telemetry/log'
import type { Wallet } from '../ledger/ledger'
import { accountChangeRoutes } from './account-changes'
import { accountRoutes } from './accounts'
import { batchRoutes } from './batches'
import { clientRoutes } from './clients'
import { holdRoutes } from './holds'
import { introductionOf } from './index-page'
import { personalDataRoutes } from './personal-data'
import { transactionListRoutes } from './transaction-lists'
import { transactionRoutes } from './transactions'

export type WalletOptions = {
  wallet: Wallet
  log: Log
  health: Health
  metrics: HttpOptions['metrics']
  guard: Guard
  isReady: () => boolean
  kafka: KafkaConfig
  /** Where browsers reach balances, which serves the console. */
  balancesUrl: string | undefined
}

export const createWalletApp = (options: WalletOptions) => createHttp(httpOptions(options))

/** All routes of the service. */
export const walletRoutes = (options: WalletOptions) => tableOf(httpOptions(options))

const httpOptions = ({
  wallet,
  log,
  health,
  metrics,
  guard,
  isReady,
  kafka,
  balancesUrl,
}: WalletOptions): HttpOptions => ({
  log,
  parseJson,
  api: apis.wallet,
  documents: eventDocuments({
    service: 'wallet',
    action: 'send',
    uses: topics.map((topic) => ({ topic })),
    kafka,
  }),
  health,
  metrics,
  guard,
  isReady,
  introduction: introductionOf(balancesUrl),
  routes: [
    ...clientRoutes(wallet),
    ...personalDataRoutes(wallet),
    ...accountRoutes(wallet),
    ...accountChangeRoutes(wallet),
    ...transactionRoutes(wallet, kafka),
    ...transactionListRoutes(wallet),
    ...batchRoutes(wallet),
    ...holdRoutes(wallet),
  ],
})
