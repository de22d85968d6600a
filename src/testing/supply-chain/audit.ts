/**
 * Known vulnerabilities of the packages in `bun.lock`: `npm run audit`. Fails for those of production
 * packages that are severe enough and not accepted; names the others.
 */
import { join } from 'node:path'
import { optionsOrExit } from '../../platform/process/options.ts'
import { type Accepted, accepted } from './accepted'
import { notChecked } from './not-checked'

const root = join(import.meta.dir, '../../..')
const severities = ['info', 'low', 'moderate', 'high', 'critical'] as const
/** The lowest that fails. */
const threshold = 'moderate'
const answerMs = 30_000

export type Advisory = {
  url: string
  title: string
  severity: (typeof severities)[number]
  vulnerable_versions: string
}
export type Findings = Record<string, Advisory[]>
type Answer = { findings: Findings } | { unreachable: string }

/** Asks the registry. Throws for failures of other kinds, such as a lock file that cannot be read. */
export async function ask(scope: 'all' | 'production', env: NodeJS.ProcessEnv): Promise<Answer> {
  const command = [process.execPath, 'audit', '--json', ...(scope === 'production' ? ['--production'] : [])]
  const child = Bun.spawn(command, {
    ...{ cwd: root, env, timeout: answerMs, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  })
  const [output, complaint] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  // The exit code is 1 for findings and for every failure. Only an answer has an object on standard output.
  if (output.startsWith('{')) return { findings: JSON.parse(output) }
  if (child.signalCode) return { unreachable: `no answer within ${answerMs / 1000} s` }
  const reason = complaint.trim().replace(/^error: /, '')
  if (/^POST https?:|audit response/.test(reason)) return { unreachable: reason }
  throw new Error(`bun audit failed: ${reason || `exit code ${child.exitCode}`}`)
}

/** What was found, line by line, and whether the gate passes. */
export function judge(
  { production, all }: { production: Findings; all: Findings },
  exceptions: readonly Accepted[],
  today: string,
): { lines: string[]; passes: boolean } {
  const shipped = new Set(flatten(production).map(keyOf))
  const verdicts = flatten(all).map((finding) => ({
    finding,
    ...(shipped.has(keyOf(finding))
      ? verdictOn(finding.advisory, exceptions, today)
      : { fails: false, because: 'only development packages need it' }),
  }))
  const reported = verdicts.map(({ finding }) => idOf(finding.advisory))
  const unused = exceptions.filter(({ id }) => !reported.includes(id))
  return {
    lines: [
      ...verdicts.map(
        ({ finding, fails, because }) => `${fails ? 'FAIL' : 'note'}  ${show(finding)}\n      ${because}`,
      ),
      ...unused.map(({ id }) => `note  ${id} is no longer reported: remove it from accepted.ts`),
    ],
    passes: !verdicts.some(({ fails }) => fails),
  }
}

function verdictOn(advisory: Advisory, exceptions: readonly Accepted[], today: string): Verdict {
  if (severities.indexOf(advisory.severity) < severities.indexOf(threshold))
    return { fails: false, because: `below ${threshold}` }
  const exception = exceptions.find(({ id }) => id === idOf(advisory))
  if (!exception)
    return {
      fails: true,
      because: 'update the package (bun audit fix), or accept it for a while in accepted.ts',
    }
  const { reason, until } = exception
  return until < today
    ? { fails: true, because: `was accepted until ${until}: ${reason}` }
    : { fails: false, because: `accepted until ${until}: ${reason}` }
}

type Verdict = { fails: boolean; because: string }
type Finding = { name: string; advisory: Advisory }

const flatten = (findings: Findings): Finding[] =>
  Object.entries(findings).flatMap(([name, advisories]) => advisories.map((advisory) => ({ name, advisory })))
const idOf = ({ url }: Advisory): string => url.split('/').at(-1) ?? url
const keyOf = ({ name, advisory }: Finding): string => `${name} ${advisory.url}`
const show = ({ name, advisory: { severity, vulnerable_versions, title, url } }: Finding): string =>
  `${name} ${vulnerable_versions}  ${severity}: ${title}  ${url}`

/** The exit code. */
export async function audit(env: NodeJS.ProcessEnv, print: (line: string) => void): Promise<number> {
  const [production, all] = await Promise.all([ask('production', env), ask('all', env)])
  if ('unreachable' in production || 'unreachable' in all) {
    const [reason] = [production, all].flatMap((answer) =>
      'unreachable' in answer ? answer.unreachable : [],
    )
    print(`NOT CHECKED: the registry answered no audit (${reason}).`)
    print('Run npm run audit again where it does, as the public npm registry does.')
    return notChecked
  }
  const findings = { production: production.findings, all: all.findings }
  const { lines, passes } = judge(findings, accepted, new Date().toISOString().slice(0, 10))
  for (const line of lines) print(line)
  const [total, shipped] = [flatten(findings.all).length, flatten(findings.production).length]
  print(`${total} known vulnerabilities, ${shipped} of them in production packages`)
  return passes ? 0 : 1
}

if (import.meta.main) {
  optionsOrExit(
    `Usage: npm run audit
  Asks the registry for known vulnerabilities of the packages in bun.lock. Exits 1 for one of a production
  package that is ${threshold} or worse and not accepted, ${notChecked} when the registry gives no answer.`,
    {},
  )
  process.exit(await audit(process.env, console.log))
}
