/** TCP ports of this machine: which are free, and which process holds the others. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** The error code of listening there now, such as EADDRINUSE; null when the port is free. */
export function listenErrorOf(port: number, hostname = '127.0.0.1'): string | null {
  try {
    listenBriefly(port, hostname)
    return null
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? (error as Error).message
  }
}

/**
 * The error code of listening there, or EADDRINUSE where another listener would get some of the requests.
 * `localhost` is two addresses, and each may be another program's. Beside those, Linux refuses an address of
 * which another listener has all or one; elsewhere a listener for one address takes from one for all.
 */
export function portConflictOf(port: number, hostname: string): string | null {
  const fault = listenErrorOf(port, hostname)
  if (fault || !isForThisMachine(hostname)) return fault
  const others = process.platform === 'linux' ? loopback : [...loopback, ...everywhere]
  return others.some((address) => listenErrorOf(port, address) === 'EADDRINUSE') ? 'EADDRINUSE' : null
}

const loopback = ['127.0.0.1', '::1']
const everywhere = ['0.0.0.0', '::']
const isForThisMachine = (hostname: string) => [...loopback, ...everywhere, 'localhost'].includes(hostname)

/** Whether several sockets listen on the same address and port, as far as the system shows it: on Linux. */
export function isShared(port: number): boolean {
  if (process.platform !== 'linux') return false
  const addresses = tables.flatMap((path) => listening(readFileSync(path, 'utf8'), port))
  return new Set(addresses.map(({ address }) => address)).size < addresses.length
}

/** A port that is free at the moment: nothing reserves it. */
export function freePort(hostname = '127.0.0.1'): number {
  return listenBriefly(0, hostname)
}

function listenBriefly(port: number, hostname: string): number {
  const listener = Bun.listen({ hostname, port, socket: { data() {} } })
  const bound = listener.port
  listener.stop(true)
  return bound
}

type PortHolder = { pid: number; command: string }

/**
 * The process that listens on the port; null when the system does not show it, as of other users'
 * processes.
 */
export function findPortHolder(port: number): PortHolder | null {
  try {
    return process.platform === 'linux' ? findInProc(port) : findWithLsof(port)
  } catch {
    return null
  }
}

const tables = ['/proc/net/tcp', '/proc/net/tcp6']

/** The sockets that listen on the port, from the text of /proc/net/tcp or tcp6. */
export function listening(table: string, port: number): { address: string; inode: string }[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const state = '0A'
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix) && columns[3] === state)
    .map((columns) => ({ address: columns[1] ?? '', inode: columns[9] ?? '' }))
}

/** The holder of a port, for an error message. */
export function describeHolder(port: number): string {
  const holder = findPortHolder(port)
  return holder
    ? `process ${holder.pid} (${holder.command.slice(0, 80)})`
    : 'another program, perhaps a container'
}

function findInProc(port: number): PortHolder | null {
  const sockets = tables
    .flatMap((path) => listening(readFileSync(path, 'utf8'), port))
    .map(({ inode }) => `socket:[${inode}]`)
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (linksOf(`/proc/${pid}/fd`).some((link) => sockets.includes(link))) {
      return {
        pid: Number(pid),
        command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim(),
      }
    }
  }
  return null
}

function linksOf(dir: string): string[] {
  try {
    return readdirSync(dir).map((name) => {
      try {
        return readlinkSync(`${dir}/${name}`)
      } catch {
        return ''
      }
    })
  } catch {
    // Another user's process, or one that has ended.
    return []
  }
}

function findWithLsof(port: number): PortHolder | null {
  const { stdout } = Bun.spawnSync(['lsof', '-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'])
  const [, pid, command] = /^p(\d+)\nc(.*)$/m.exec(stdout.toString()) ?? []
  return pid && command ? { pid: Number(pid), command } : null
}
