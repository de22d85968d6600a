/** What holds for every test of a run: time enough on a busy machine, and an end for what the tests share. */
import { afterAll, setDefaultTimeout } from 'bun:test'
import { stopBacking } from './backing'

setDefaultTimeout(30_000)
afterAll(stopBacking, 30_000)
