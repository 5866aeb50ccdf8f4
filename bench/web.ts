import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { type Browser, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { BadInput } from '../src/bits/bad-input.ts'
import { rerun, StopRun } from '../src/run/ask/rerun.ts'
import { Film } from '../src/run/film/film.ts'
import { makeFilm } from '../src/run/film/make-film.ts'
import { median, milliseconds, spread } from './measure.ts'

export const name = 'web'
export const about =
  "the page in a browser: from opening it to the seed's refusal, a scrub through the 8 GiB boot, its size"

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const OPENINGS = 7
const SCRUBS = 60
/** A dom0 of generation D that owns all of an 8 GiB machine. */
const EIGHT_GIB = { linux: 'D', map: 'msi-h61m-p23-8g', memory: 0x1f_a000 } as const
const LINK = '#v=1&linux=D&map=msi-h61m-p23-8g&memory=0x1fa000p&event=0&frame=1000'

export async function run(report: (line: string) => void): Promise<Record<string, number>> {
  if (!existsSync(CHROMIUM)) throw new BadInput(`${CHROMIUM} is not installed: CHROMIUM names another`)
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-bench-web-'))
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
  try {
    const configFile = fileURLToPath(new URL('../web/vite.config.ts', import.meta.url))
    await build({ configFile, logLevel: 'error', build: { outDir: folder, emptyOutDir: false } })
    const page = join(folder, 'index.html')
    const address = pathToFileURL(page).href
    const shown: number[] = []
    const pointed: number[] = []
    for (let i = 0; i < OPENINGS; i++) {
      const times = await inPage(browser, address, opening)
      shown.push(times.shown)
      pointed.push(times.pointed)
    }
    report(`opened to refusal shown, ms: ${spread(shown)}`)
    report(`opened to the entry that is why, ms: ${spread(pointed)}`)
    const scrubs = await inPage(browser, address + LINK, scrubbing)
    report(`scrub to a random event of the 8 GiB boot until it is drawn, ms: ${spread(scrubs)}`)
    const { seeks, reruns } = filmOfEightGib()
    report(`of it the film, ms: ${spread(seeks)}; to run to the event instead, ms: ${spread(reruns)}`)
    return {
      open_to_refusal_ms: round(median(shown)),
      open_to_entry_ms: round(median(pointed)),
      scrub_8gib_ms: round(median(scrubs)),
      scrub_8gib_worst_ms: round(Math.max(...scrubs)),
      film_seek_ms: round(median(seeks)),
      rerun_ms: round(median(reruns)),
      rerun_ratio: round(median(reruns) / median(seeks)),
      size_gzip_kb: round(gzipSync(readFileSync(page), { level: 9 }).length / 1000),
    }
  } finally {
    await browser.close()
    rmSync(folder, { recursive: true })
  }
}

/** A visit in a context of its own: nothing is cached. */
async function inPage<T>(browser: Browser, address: string, look: (page: Page) => Promise<T>): Promise<T> {
  // The measuring scripts are strings, which the page's own policy would not run.
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, bypassCSP: true })
  try {
    const page = await context.newPage()
    await page.goto(address, { waitUntil: 'commit' })
    return await look(page)
  } finally {
    await context.close()
  }
}

/** Milliseconds from the beginning of the page until something is there, by the page's own clock. */
function timeOf(page: Page, selector: string): Promise<number> {
  const script = `document.querySelector(${JSON.stringify(selector)}) && performance.now()`
  return page.waitForFunction(script).then((handle) => handle.jsonValue() as Promise<number>)
}

async function opening(page: Page): Promise<{ shown: number; pointed: number }> {
  const shown = await timeOf(page, '.verdict.refused')
  return { shown, pointed: await timeOf(page, '.holders .blamed') }
}

/** Move the slider to random places; each time until the frame after the one that draws. */
async function scrubbing(page: Page): Promise<number[]> {
  await timeOf(page, '.holders')
  return page.evaluate(`(async () => {
    const slider = document.querySelector('.slider')
    const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set
    const frame = () => new Promise((next) => requestAnimationFrame(next))
    const times = []
    let seed = 1
    for (let i = 0; i < ${SCRUBS}; i++) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      await frame()
      const start = performance.now()
      set.call(slider, String(Math.floor((seed / 2 ** 32) * Number(slider.max))))
      slider.dispatchEvent(new Event('input', { bubbles: true }))
      await frame()
      await frame()
      times.push(performance.now() - start)
    }
    return times
  })()`) as Promise<number[]>
}

function filmOfEightGib(): { seeks: number[]; reruns: number[] } {
  const film = new Film(makeFilm(EIGHT_GIB))
  const seeks: number[] = []
  const reruns: number[] = []
  for (let i = 0; i < 15; i++) {
    const event = Math.floor(((i * 7 + 3) % 15) * (film.events / 15))
    seeks.push(milliseconds(() => film.seek(event)))
    reruns.push(
      milliseconds(() =>
        rerun(
          { boot: EIGHT_GIB },
          {
            event: (n) => {
              if (n === event) throw new StopRun()
            },
          },
        ),
      ),
    )
  }
  return { seeks, reruns }
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}
