/** Bundles the console into `dist/console`, once, for the image: `bun src/balances/console/build.ts`. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { builtFolder, bundleConsole } from './page'

mkdirSync(builtFolder, { recursive: true })
for (const [name, body] of await bundleConsole()) {
  await Bun.write(join(builtFolder, name), body)
  console.log(`${name}: ${body.length} bytes, ${Bun.gzipSync(body).length} compressed`)
}
