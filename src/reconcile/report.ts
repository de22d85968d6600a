/**
 * The report of a comparison: the JSON that `--json` prints, that is signed, and that balances keeps. It
 * says what was read, up to where, by which version, and what was found.
 */
import { apis } from '../contract/docs/api'
import { inOrder, presentDifference, resultOf } from './presentation'
import type { Report } from './reconcile'

/** Changes with its meaning; members are added under the same one. */
export const reportType = 'saldo.reconciliation.v1'

export type ReportDocument = ReturnType<typeof documentOf>

type Sources = { walletUrl: string; balancesUrl: string; kafka: { brokers: readonly string[] } }

export function documentOf(report: Report, { walletUrl, balancesUrl, kafka }: Sources, endedAt: Date) {
  const { watermark, clusterId, partitions, counts, total, differences, lacksKeys } = report
  return {
    type: reportType,
    software: { name: 'saldo', version: apis.balances.version },
    result: resultOf(report),
    /** Everything committed by then is compared. */
    watermark: watermark.toISOString(),
    ended_at: endedAt.toISOString(),
    sources: {
      wallet: addressOf(walletUrl),
      balances: addressOf(balancesUrl),
      kafka: {
        ...{ brokers: kafka.brokers, cluster_id: clusterId },
        partitions: partitions.map(({ topic, partition, first, end, applied }) => ({
          ...{ topic, partition, first: Number(first), end: Number(end) },
          applied: applied === null ? null : Number(applied),
        })),
      },
    },
    signatures_lack_keys: lacksKeys,
    counts,
    differences_total: total,
    differences: inOrder(differences).map(presentDifference),
  }
}

/** Without user and password. */
function addressOf(url: string) {
  const { hostname, port, pathname } = new URL(url)
  return { host: hostname, port: Number(port || 5432), database: decodeURIComponent(pathname.slice(1)) }
}
