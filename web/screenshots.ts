import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { build } from 'vite'

/** Makes the pictures of docs/page.md: `npm run screenshots`, or those whose names are given. */
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const docs = fileURLToPath(new URL('../docs/', import.meta.url))

type Shot = {
  readonly name: string
  readonly fragment: string
  readonly width: number
  readonly height: number
  readonly scheme: 'light' | 'dark'
  readonly ready: (page: Page) => Promise<unknown>
}

const LOG = `about to get started...
(XEN) mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn b1d89 (pfn bacf7)
(XEN) mm.c:3027:d0 Error while pinning mfn b1d89
(XEN) traps.c:481:d0 Unhandled invalid opcode fault/trap [#6] on VCPU 0 [ec=0000]
(XEN) domain_crash_sync called from entry.S
(XEN) Domain 0 (vcpu#0) crashed on cpu#0:`

const SHOTS: readonly Shot[] = [
  {
    name: 'page',
    fragment: '#v=1&zoom=9',
    width: 1280,
    height: 1230,
    scheme: 'light',
    ready: (page) => page.locator('.holders .blamed').waitFor(),
  },
  {
    name: 'page-whole',
    fragment: '#v=1',
    width: 1280,
    height: 860,
    scheme: 'dark',
    ready: (page) => page.locator('.holders .blamed').waitFor(),
  },
  {
    name: 'page-beside',
    fragment: '#v=1&view=compare&zoom=9',
    width: 1280,
    height: 940,
    scheme: 'light',
    ready: (page) => page.locator('.twins').waitFor(),
  },
  {
    name: 'page-explain',
    fragment: `#${new URLSearchParams({ v: '1', view: 'explain', log: LOG })}`,
    width: 1280,
    height: 900,
    scheme: 'light',
    ready: async (page) => {
      await page.locator('.log .word').first().waitFor()
      await page.locator('.waiting').waitFor({ state: 'detached' })
      await page.locator('.log .word').first().hover()
    },
  },
]

const wanted = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'xenolith-shots-'))
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
try {
  const configFile = fileURLToPath(new URL('vite.config.ts', import.meta.url))
  await build({ configFile, logLevel: 'error', build: { outDir: folder, emptyOutDir: false } })
  const address = pathToFileURL(join(folder, 'index.html')).href
  for (const { name, fragment, width, height, scheme, ready } of SHOTS) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme })
    await page.goto(address + fragment)
    await ready(page)
    // The keyboard's ring and the pointer are nobody's here.
    await page.waitForTimeout(300)
    await page.screenshot({ path: `${docs}${name}.png` })
    await page.close()
    console.log(`docs/${name}.png`)
  }
} finally {
  await browser.close()
  rmSync(folder, { recursive: true })
}
