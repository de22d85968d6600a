/** A client of Saldo that cannot pay twice: see README.md. */
export type { CallOptions, Pages, WatchOptions } from './calls.ts'
export { type AmountOf, type Decimals, SaldoClient, type SaldoOptions } from './client.ts'
export { type ProblemOf, SaldoError, SaldoProblem, SaldoTimeout, SaldoUnreachable } from './errors.ts'
export type * from './types.ts'
