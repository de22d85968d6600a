import { expect, test } from 'bun:test'
import { findPortHolder, freePort, listenErrorOf, listeningInodes } from './ports.ts'

test('only sockets that listen on the port count, on any address', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1 0 100 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1002 1 0 100 0
   2: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 1003 1 0 100 0
   3: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1004 1 0 100 0
`
  expect(listeningInodes(table, 8080)).toEqual(['1001', '1002'])
  expect(listeningInodes(table, 80)).toEqual(['1004'])
  expect(listeningInodes(table, 81)).toEqual([])
})

test('a port is free until a process listens on it, which is then found', () => {
  const port = freePort()
  expect(listenErrorOf(port)).toBeNull()
  expect(findPortHolder(port)).toBeNull()

  using listener = Bun.listen({ hostname: '127.0.0.1', port, socket: { data() {} } })
  expect(listenErrorOf(listener.port)).toBe('EADDRINUSE')
  expect(findPortHolder(port)?.pid).toBe(process.pid)
})
