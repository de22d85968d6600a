/** `reconcile` beside the services of a stack. */
import { type ReconcileOptions, type Report, reconcile } from '../reconcile/reconcile'
import type { Stack } from './stack'

type Reconciled = Pick<Stack, 'config' | 'databases'>
type Options = Partial<Pick<ReconcileOptions, 'waitMs' | 'differencesMax'>> & {
  balancesUrl?: string
  /** Which signatures are verified. */
  events?: Stack['config']['balances']['events']
}

export const reconciled = ({ config, databases }: Reconciled, options: Options = {}): Promise<Report> => {
  const { waitMs = 20_000, differencesMax = 20, ...given } = options
  return reconcile(
    {
      walletUrl: databases.wallet.serviceUrl,
      balancesUrl: given.balancesUrl ?? databases.balances.url,
      kafka: config.balances.kafka,
      events: given.events ?? config.balances.events,
      remedy: '',
    },
    {
      waitMs,
      differencesMax,
      showProgress: () => ({ add() {}, end() {} }),
      signal: new AbortController().signal,
    },
  )
}

/** The differences, and what was not compared: equals `noDifference` where everything was, and agrees. */
export async function differencesOf(stack: Reconciled) {
  const { differences, counts } = await reconciled(stack)
  const { waiting, behind, unchecked } = counts
  return { differences, waiting, behind, unchecked }
}

export const noDifference: Awaited<ReturnType<typeof differencesOf>> = {
  differences: [],
  waiting: 0,
  behind: 0,
  unchecked: 0,
}
