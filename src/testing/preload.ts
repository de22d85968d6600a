/** Runs in each worker: configures properties, and stops the shared servers after the last test. */
import { afterAll } from 'bun:test'
import { stopBacking } from './backing'
import { configureProperties } from './random'

configureProperties()
afterAll(stopBacking, 30_000)
