/** Stops what the tests of a run share, once, after the last of them. */
import { afterAll } from 'bun:test'
import { stopBacking } from './backing'

afterAll(stopBacking, 30_000)
