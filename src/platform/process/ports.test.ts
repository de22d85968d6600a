import { expect, test } from 'bun:test'
import { findPortHolder, freePort, isShared, listenErrorOf, listening, portConflictOf } from './ports.ts'

test('only sockets that listen on the port count, on any address', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1 0 100 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1002 1 0 100 0
   2: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 1003 1 0 100 0
   3: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1004 1 0 100 0
`
  expect(listening(table, 8080)).toEqual([
    { address: '0100007F:1F90', inode: '1001' },
    { address: '00000000:1F90', inode: '1002' },
  ])
  expect(listening(table, 80)).toEqual([{ address: '0100007F:0050', inode: '1004' }])
  expect(listening(table, 81)).toEqual([])
})

test('a port is free until a process listens on it, which is then found', () => {
  const port = freePort()
  expect(listenErrorOf(port)).toBeNull()
  expect(findPortHolder(port)).toBeNull()

  using listener = Bun.listen({ hostname: '127.0.0.1', port, socket: { data() {} } })
  expect(listenErrorOf(listener.port)).toBe('EADDRINUSE')
  expect(findPortHolder(port)?.pid).toBe(process.pid)
})

const hasIpv6 = listenErrorOf(0, '::1') === null
const addresses = (...all: string[]) => all.filter((address) => hasIpv6 || !address.includes(':'))

test.each(addresses('127.0.0.1', '0.0.0.0', '::', '::1'))(
  'who listens on %s has the port of each address that would get some of its requests',
  (first) => {
    using listener = Bun.listen({ hostname: first, port: 0, socket: { data() {} } })
    const others = addresses('127.0.0.1', '0.0.0.0', '::', '::1', 'localhost')
    const taken = others.filter((hostname) => portConflictOf(listener.port, hostname) === 'EADDRINUSE')
    expect(taken).toEqual(others)
    // An address of its own, as of another interface.
    const apart = portConflictOf(listener.port, '127.0.0.2')
    expect(apart).toBe(first === '0.0.0.0' || first === '::' ? 'EADDRINUSE' : null)
  },
)

test.if(process.platform === 'linux')('two listeners that share a port are noticed', () => {
  const share = (port: number) =>
    Bun.serve({ hostname: '127.0.0.1', port, reusePort: true, fetch: () => new Response() })
  using first = share(0)
  const port = first.port ?? 0
  expect(isShared(port)).toBe(false)
  using _ = share(port)
  expect(isShared(port)).toBe(true)
})
