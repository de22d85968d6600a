/** The alerting rules of Prometheus, which the drills take their thresholds from. */
import { join } from 'node:path'
import { SetupError } from '../platform/fault'
import { msOf } from './promql'

export type Rule = {
  alert: string
  expr: string
  /** For how long the expression has to be true until the alert fires. */
  forMs: number
  severity: string
}

export const rulesPath = 'deploy/observability/rules.yml'
const file = join(import.meta.dir, '../..', rulesPath)

type Group = { rules: { alert: string; expr: string; for?: string; labels: { severity: string } }[] }

/** Throws `SetupError` where there is no such file, as in the image. */
export async function readRules(): Promise<Rule[]> {
  const text = await Bun.file(file)
    .text()
    .catch(() => {
      throw new SetupError(`${rulesPath} is missing: run drills in a checkout of the repository.`)
    })
  const { groups } = Bun.YAML.parse(text) as { groups: Group[] }
  return groups
    .flatMap(({ rules }) => rules)
    .map(({ alert, expr, for: duration, labels }) => ({
      ...{ alert, expr, severity: labels.severity },
      forMs: duration === undefined ? 0 : msOf(duration),
    }))
}
