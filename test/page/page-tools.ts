import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { pageServer } from '../../src/cli/verbs/serve/serve.ts'
import { missing, notAsked, root } from '../tools/tools.ts'

/** Debian's browser; another one by CHROMIUM. */
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** The `skip` of a test that needs a browser. */
export const noBrowser = notAsked || (existsSync(CHROMIUM) ? false : missing(`${CHROMIUM} is not installed`))

/** A page that somebody looks at, and all that it did unseen. */
export type Visit = {
  readonly page: Page
  /** Errors and warnings of the console, and errors that nobody caught. */
  readonly complaints: string[]
  /** Everything that was asked of a network or a disk. */
  readonly requests: string[]
}

/**
 * The page as it is built, in a browser, for the tests of one file: from `file://`, or from a server. A folder of its own,
 * so that nothing depends on what was built before.
 */
export function pageForTests() {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-page-'))
  const file = join(folder, 'index.html')
  let browser: Browser
  let server: Server
  if (noBrowser === false) {
    before(async () => {
      const config = { configFile: `${root}web/vite.config.ts`, logLevel: 'error' as const }
      await build({ ...config, build: { outDir: folder, emptyOutDir: false } })
      browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] })
      server = pageServer(readFileSync(file))
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    })
    after(async () => {
      await browser?.close()
      server?.close()
    })
  }
  after(() => rmSync(folder, { recursive: true }))
  return {
    file: () => file,
    /** Open the page with a fragment, and end with it: what it complained about fails the test. */
    async visit(
      fragment: string,
      look: (visit: Visit) => Promise<void>,
      options: BrowserContextOptions & { readonly served?: boolean; readonly base?: string } = {},
    ): Promise<void> {
      const { served = false, base: elsewhere, ...settings } = options
      const context = await browser.newContext({ viewport: { width: 1300, height: 900 }, ...settings })
      const page = await context.newPage()
      page.setDefaultTimeout(20_000)
      const complaints: string[] = []
      const requests: string[] = []
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
      })
      page.on('pageerror', (error) => complaints.push(error.message))
      page.on('request', (request) => requests.push(request.url()))
      const address = server.address() as { port: number }
      const base = elsewhere ?? (served ? `http://localhost:${address.port}/` : pathToFileURL(file).href)
      try {
        await page.goto(base + fragment)
        await look({ page, complaints, requests })
        assert.deepEqual(complaints, [])
      } finally {
        await context.close()
      }
    },
  }
}

/** Press keys one after the other. */
export async function press(page: Page, ...keys: string[]): Promise<void> {
  for (const key of keys) await page.keyboard.press(key)
}

/** The event that the page is at. */
export async function eventOf(page: Page): Promise<number> {
  return Number(await page.getByRole('slider', { name: 'Moment of the boot' }).inputValue())
}
