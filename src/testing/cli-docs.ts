/** `docs/cli.md`, from the table of commands. */
import type { Command } from '../cli/command'
import { loadCommands } from '../cli/commands'
import { exitCodes, exitMeanings } from '../cli/exit-codes'
import { aboutOf, exitsOf, nameOf, usageLines } from '../cli/help'
import { commonOptions, type Option } from '../cli/options'

/** Expected content by path within the repository. */
export async function writeCliDocs(): Promise<Map<string, string>> {
  const all = await loadCommands()
  const text = [
    introduction,
    table(
      ['command', ''],
      all.map(([name, { about }]) => [`[\`${name}\`](#${name})`, about]),
    ),
    conventions,
    table(
      ['exit code', ''],
      Object.entries(exitCodes).map(([name, code]) => [
        String(code),
        exitMeanings[name as keyof typeof exitCodes],
      ]),
    ),
    ...all.flatMap(([name, command]) => sectionsOf(name, command, '##')),
  ]
  return new Map([['docs/cli.md', `${text.join('\n\n')}\n`]])
}

const introduction = `# Commands

\`\`\`sh
npm run saldo -- status                         # on this machine: npm start
docker compose exec wallet saldo republish      # in the container of a service, with its environment
docker compose run --rm saldo reconcile         # with the addresses of both services: compose.yaml
docker compose run --rm wallet saldo migrate    # before the service starts
\`\`\`

No password is typed: a command reads the [variables](running.md#configuration) of the service that it is
run in, \`…_FILE\` included. Without addresses it means what \`npm start\` runs; started on other ports,
that needs its \`POSTGRES_PORT\` and \`KAFKA_PORT\`, too. Elsewhere \`WALLET_DATABASE_URL\`,
\`BALANCES_DATABASE_URL\` and \`KAFKA_BROKERS\` name them, and a command about one service takes what is
its own. In the environment of the other service it refuses, and says where to run it. \`npm run
reconcile\`, \`status\`, \`republish\`, \`rebuild\`, \`redrive\` and \`migrate\` are short for \`npm run
saldo -- …\`.`

const conventions = `\
- **Results** go to standard output, everything else to standard error: progress, warnings, errors. With
  \`--json\` standard output has JSON alone, of which members are added and never removed; a command that
  fails prints none.
- **Progress** of long work updates one line on a terminal, and is a line every five seconds elsewhere.
- **Options** may be written \`--name value\` or \`--name=value\`. Unknown ones, those of another
  command, values out of range, the same one twice, and two that contradict each other are refused before
  anything is done, with a message that names the option and the remedy.
- **Ctrl-C** stops in good order, and the last line says how things were left. A second one, a second
  later, ends the process at once.
- A database or a broker that cannot be reached is named within seconds, with what to check.

## Exit codes`

function sectionsOf(name: string, command: Command, level: string): string[] {
  const { about, details = [], verbs, examples = [], json, exits, interrupted } = command
  const shell = [...usageLines(name, command), ...(examples.length > 0 ? ['', ...examples] : [])]
  const special = exitsOf({ ...command }).filter(([, meaning]) =>
    Object.values(exits ?? {}).includes(meaning),
  )
  return [
    `${level} ${name}`,
    [`${capital(about)}.`, ...details].join(' '),
    `\`\`\`sh\n${shell.join('\n')}\n\`\`\``,
    ...(verbs ? [] : optionsOf(command)),
    ...(special.length > 0
      ? [`Exit codes: ${special.map(([code, meaning]) => `${code}: ${meaning}`).join(' ')}`]
      : []),
    ...(interrupted ? [`After Ctrl-C: ${interrupted}`] : []),
    ...(json
      ? [
          `\`--json\`${json.perLine ? ', one object a line' : ''}:\n\n` +
            `\`\`\`json\n${JSON.stringify(json.example, null, 2)}\n\`\`\``,
        ]
      : []),
    ...Object.entries(verbs ?? {}).flatMap(([verb, each]) => sectionsOf(`${name} ${verb}`, each, '###')),
  ]
}

/** Those of every command are left out. */
function optionsOf({ options = {}, positionals = [], exclusive = [] }: Command): string[] {
  const rows = Object.entries(options as Record<string, Option<unknown>>)
    .filter(([name]) => !Object.hasOwn(commonOptions, name))
    .map(([name, option]): [string, string] => [`\`${nameOf(name, option)}\``, aboutOf(option)])
  const all = [...positionals.map((one): [string, string] => [`\`${one.name}\``, one.about]), ...rows]
  const groups = exclusive.map((names) => names.map((name) => `\`--${name}\``).join(', '))
  return [
    ...(all.length > 0 ? [table(['option', ''], all)] : []),
    ...(groups.length > 0 ? [`At most one of each: ${groups.join('; ')}.`] : []),
  ]
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

const table = (head: [string, string], rows: [string, string][]): string =>
  [head, ['---', '---'], ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')
