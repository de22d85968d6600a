/** Runs in each worker: configures properties, and cleans up after each file. */
import { afterAll } from 'bun:test'
import { endOfFile } from './backing'
import { configureProperties } from './random'

configureProperties()
afterAll(endOfFile, 30_000)
