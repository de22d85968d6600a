import { version } from '../../../package.json'
import { optionsOrExit, refuseUsage } from '../../platform/process/options.ts'
import { describeHolder } from '../../platform/process/ports.ts'
import { explainUnusable } from '../directory-lock.ts'
import { startBroker } from './broker.ts'

/**
 * The broker as a process of its own: `bun src/local/broker/main.ts --data-dir DIR [--port N]
 * [--host H] [--lifeline]`. Prints one line, `ready host:port`, when it serves. With `--lifeline`
 * it stops when its stdin closes, so that it never outlives a supervisor that was killed.
 */
const usage = `Usage: bun src/local/broker/main.ts --data-dir DIR [--port 9092] [--host 127.0.0.1]
  A broker that speaks the Kafka protocol and keeps its log in DIR; port 0 takes a free one.`
const values = optionsOrExit(usage, {
  'data-dir': { type: 'string' },
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '9092' },
  lifeline: { type: 'boolean', default: false },
})

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}

const { host } = values
const dataDir =
  values['data-dir'] ||
  refuseUsage('--data-dir is missing: name the directory that is to hold the log', usage)
const port = Number(values.port)
if (!/^\d{1,5}$/.test(values.port) || port > 65_535)
  refuseUsage(`--port is not a port: ${values.port}`, usage)

const log = (level: string, message: string, fields?: object) =>
  console.error(JSON.stringify({ level, message, ...fields }))
log('info', `local broker of Saldo ${version} on Bun ${Bun.version}`, {
  listens: `${host}:${port}`,
  dataDir,
  off: ['TLS', 'login', 'rights', 'replication'],
})
const broker = await startBroker({ dataDir, port, host, log }).catch((error: NodeJS.ErrnoException) => {
  const unusable = explainUnusable(error)
  if (unusable) return fail(`${dataDir} cannot be used: ${unusable}, or choose another with --data-dir`)
  if (error.code !== 'EADDRINUSE') return fail(error.message)
  return fail(
    `port ${port} on ${host} is taken by ${describeHolder(port)}: stop that, or choose another with --port`,
  )
})

async function stop(): Promise<void> {
  await broker.stop()
  process.exit(0)
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
if (values.lifeline) process.stdin.on('end', stop).on('close', stop).resume()
console.log(`ready ${broker.brokers}`)
