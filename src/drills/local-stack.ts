/** The `npm start` that runs on this machine: where its parts listen, and which processes they are. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type DrillConfig, localDatabaseUrl, type ServiceName } from '../config/config'
import { pidFileOf } from '../config/local'
import { SetupError } from '../platform/fault'
import { findPortHolder } from '../platform/process/ports'
import type { Service } from './ask'

export type LocalStack = {
  wallet: Service
  balances: Service
  brokers: string
  brokerPid: number
  dataDir: string
  ownerUrl(service: ServiceName): string
  serviceUrl(service: ServiceName): string
}

/**
 * Throws `SetupError` unless each port is that of a descendant of the process that has the data directory:
 * another process that listens there is not ours to stop.
 */
export function findLocalStack(config: DrillConfig): LocalStack {
  const dataDir = resolve(config.dataDir)
  const supervisor = supervisorOf(dataDir)
  const ports: [name: string, variable: string, port: number][] = [
    ['wallet', 'WALLET_PORT', config.walletPort],
    ['balances', 'BALANCES_PORT', config.balancesPort],
    ['PostgreSQL', 'POSTGRES_PORT', config.postgresPort],
    ['broker', 'KAFKA_PORT', config.kafkaPort],
  ]
  const pids = ports.map(([name, variable, port]) => {
    const pid = findPortHolder(port)?.pid
    if (pid !== undefined && ancestorsOf(pid).includes(supervisor)) return pid
    throw new SetupError(
      `Port ${port} is not that of the ${name} of the npm start on ${dataDir}, process ${supervisor}: ` +
        `set ${variable} as it was started, or DATA_DIR.`,
    )
  })
  return {
    wallet: {
      ...{ url: `http://127.0.0.1:${config.walletPort}`, key: config.walletKey },
      keyVariable: 'WALLET_API_KEY',
    },
    balances: {
      ...{ url: `http://127.0.0.1:${config.balancesPort}`, key: config.balancesKey },
      keyVariable: 'BALANCES_API_KEY',
    },
    brokers: `127.0.0.1:${config.kafkaPort}`,
    brokerPid: pids[3] as number,
    dataDir,
    ownerUrl: (service) => localDatabaseUrl(service, config.postgresPort),
    serviceUrl: (service) => localDatabaseUrl(service, config.postgresPort, `${service}_service`),
  }
}

/** From the file that `npm start` writes and removes. */
function supervisorOf(dataDir: string): number {
  try {
    return Number.parseInt(readFileSync(pidFileOf(dataDir), 'utf8'), 10)
  } catch {
    throw new SetupError(`No npm start runs on ${dataDir}: start it, or set DATA_DIR as it was started.`)
  }
}

/** Process ids, the nearest first. */
function ancestorsOf(pid: number): number[] {
  const ancestors: number[] = []
  for (let parent = parentOf(pid); parent > 1 && ancestors.length < 20; parent = parentOf(parent))
    ancestors.push(parent)
  return ancestors
}

/** 0 where there is none. */
function parentOf(pid: number): number {
  if (process.platform !== 'linux')
    return Number(Bun.spawnSync(['ps', '-o', 'ppid=', '-p', String(pid)]).stdout.toString()) || 0
  try {
    // The name, in parentheses, may hold anything; behind it come the state and the parent.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()?.split(' ')[1]) || 0
  } catch {
    return 0
  }
}
