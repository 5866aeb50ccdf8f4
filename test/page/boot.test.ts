import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { who } from '../../src/run/ask/who.ts'
import { boot } from '../../src/run/boot/boot.ts'
import { bootOptions } from '../../src/run/boot/boot-options.ts'
import { mapLines } from '../../src/run/maps/map-text.ts'
import { findMap } from '../../src/run/maps/maps.ts'
import { traceHeader, traceLine } from '../../src/trace/export.ts'
import { eventOf, noBrowser, pageForTests, press } from './page-tools.ts'

const { visit, file } = pageForTests()
const skip = noBrowser

/** A small guest, for what can be seen on any. */
const SMALL = '#v=2&linux=D&domu=1&memory=128M'
/** The event at which the seed is refused, and the one that wrote the entry. */
const REFUSED = 22525
const WRITTEN = 22001

const refusalShown = (page: Page) => page.getByText('This entry, written then, is why').waitFor()
/** Frames that the legend counts of a kind. */
async function counted(page: Page, kind: string): Promise<number> {
  const text = await page.locator('.legend li', { hasText: kind }).first().innerText()
  return Number(text.replace(/\D/g, '').slice(kind.replace(/\D/g, '').length))
}

for (const served of [false, true]) {
  test(
    `${served ? 'from a server' : 'from a file'} the seed's refusal is shown, and nothing is fetched`,
    { skip },
    () =>
      visit(
        '',
        async ({ page, requests }) => {
          await page.getByText('Xen refused pfn bacf7 (mfn b1d89): it was to become a page table.').waitFor()
          await refusalShown(page)
          assert.equal(await eventOf(page), REFUSED)
          const blamed = page.locator('.holders .blamed')
          assert.match(await blamed.innerText(), /slot 247 of the L1 at pfn bacf6/)
          assert.match(await blamed.innerText(), /since event 22,001: stores to mfn aadf6, 384 entries/)
          // The worker stands in the page: the one request is for the page itself.
          const fetched = requests.filter((address) => !/^(blob|data):/.test(address))
          assert.deepEqual(fetched.length, 1, fetched.join(' '))
        },
        { served },
      ),
  )
}

test('the page is one file, which may fetch nothing', { skip }, () => {
  const html = readFileSync(file(), 'utf8')
  assert.match(html, /Content-Security-Policy" content="default-src 'none'/)
  assert.doesNotMatch(html, /<(?:script|link|img)[^>]+(?:src|href)="(?!data:)/)
})

test('what holds a frame leads to the event that wrote it and to its table, and back', { skip }, () =>
  visit('', async ({ page }) => {
    await refusalShown(page)
    await page.getByRole('button', { name: 'since event 22,001' }).click()
    assert.equal(await eventOf(page), WRITTEN)
    await page.getByRole('button', { name: 'The refusal' }).click()
    await refusalShown(page)
    await page.getByRole('button', { name: 'slot 247 of the L1' }).click()
    await page.locator('.frame dd', { hasText: 'aadf6' }).waitFor()
    await page.locator('.frame .holders').waitFor()
    const answer = who({ boot: {} }, 'mfn:aadf6', REFUSED)
    const said = await page.locator('.frame').innerText()
    assert.ok(said.includes(answer.typeWord))
    assert.ok(said.includes(answer.holders[0].entry?.replace('0x', '') ?? 'nothing'))
    for (const { event } of answer.history) {
      assert.ok(said.includes(event === 0 ? 'as built' : `event ${event.toLocaleString('en')}`))
    }
    // The type word, field by field.
    const fields = await page.locator('.bits tr').allInnerTexts()
    assert.ok(
      fields.some((row) => /^63\.\.60\s+type\s+0001\s+l1$/.test(row)),
      fields.join('\n'),
    )
    assert.ok(fields.some((row) => /^59\s+pinned\s+1\s+yes$/.test(row)))
  }),
)

test('scrubbing and steps go both ways, with the buffer and the console', { skip }, () =>
  visit('', async ({ page }) => {
    await refusalShown(page)
    const tables = await counted(page, 'L1')
    await press(page, 'ArrowLeft')
    assert.equal(await eventOf(page), REFUSED - 1)
    await press(page, 'H')
    const description = page.locator('.now span')
    assert.match(await description.innerText(), /mmu_update|mmuext_op|update_va_mapping/)
    await press(page, 'R')
    assert.match(await description.innerText(), /fill_region/)
    await press(page, 'R', 'r', 'e')
    assert.match(await description.innerText(), /store|stores|mmu_update|update_va_mapping/)
    await press(page, 'Home')
    assert.equal(await eventOf(page), 0)
    assert.equal(await page.getByText('Nothing has been said yet.').isVisible(), true)
    assert.equal(await page.getByText('There is none yet.').isVisible(), true)
    assert.ok((await counted(page, 'L1')) < tables / 2)
    const slider = page.getByRole('slider', { name: 'Moment of the boot' })
    await slider.fill(String(WRITTEN))
    assert.match(await page.locator('.buffer').innerText(), /start\s+ba7a4\s+end\s+bacf7\s+top\s+bad80/)
    await page.locator('.console-pane button', { hasText: 'about to get started' }).click()
    assert.ok((await eventOf(page)) < WRITTEN)
    // The console has one stop of the tabulator, and the arrows.
    await page.locator('.console-pane button').last().focus()
    await press(page, 'ArrowUp', 'Enter')
    assert.equal(
      await page.locator('.console-pane button').last().innerText(),
      'Xen: setup ISA identity maps',
    )
    await press(page, 'End')
    assert.equal(await eventOf(page), 22543)
    assert.equal(await page.locator('.console-pane li').last().innerText(), boot({}).console.at(-1))
    await press(page, 'x')
    assert.equal(await eventOf(page), REFUSED)
    // A drag along the track is a scrub.
    const track = await page.locator('.track').boundingBox()
    assert.ok(track)
    await page.mouse.move(track.x + track.width * 0.9, track.y + 10)
    await page.mouse.down()
    await page.mouse.move(track.x + track.width / 2, track.y + 10)
    await page.mouse.up()
    assert.ok(Math.abs((await eventOf(page)) - 22543 / 2) < 60)
  }),
)

test('playing stops at the refusal and points at the entry', { skip }, () =>
  visit(`#v=1&event=${REFUSED - 700}`, async ({ page }) => {
    await page.getByRole('button', { name: 'Go to event 22,525' }).waitFor()
    await press(page, ' ')
    await page.getByRole('button', { name: 'Stop' }).waitFor()
    await page.getByRole('button', { name: 'Play' }).waitFor()
    assert.equal(await eventOf(page), REFUSED)
    await refusalShown(page)
  }),
)

test('a fault is pointed at like a refusal', { skip }, () =>
  visit('#v=1&linux=C0&xen=4.17', async ({ page }) => {
    await page.getByText('The CPU faulted at pfn 1acb60').waitFor()
    await refusalShown(page)
    const blamed = page.locator('.holders .blamed')
    assert.match(await blamed.innerText(), /80100001e1d5d065 P US A D GK NX/)
    assert.match(await page.locator('.now span').innerText(), /^page fault at ffff8801acb60000/)
    await press(page, 'Home')
    await page.getByRole('button', { name: 'The fault' }).click()
    await refusalShown(page)
  }),
)

test('another machine boots: by generation, by options, by a map in a file', { skip }, () =>
  visit('', async ({ page }) => {
    await refusalShown(page)
    await page.getByLabel('Linux', { exact: true }).fill('C')
    await page.getByRole('button', { name: 'Boot', exact: true }).last().click()
    await page.getByText('Generation C came through').waitFor()
    await page.getByLabel('Memory', { exact: true }).fill('0')
    await page.getByLabel('Memory', { exact: true }).press('Enter')
    const problem = page.getByRole('alert')
    assert.match(await problem.innerText(), /--memory 0 leaves the guest no page; give it some, as in 3072M/)
    await page.getByLabel('Memory', { exact: true }).fill('1G')
    const chooser = page.waitForEvent('filechooser')
    await page.getByRole('button', { name: 'Map from a file' }).click()
    const log = mapLines(findMap('msi-h61m-p23-8g')).join('\n')
    const name = 'serial.log'
    await (await chooser).setFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(log) })
    await page.getByRole('option', { name: 'serial (your file)' }).waitFor({ state: 'attached' })
    await page.getByLabel('Memory', { exact: true }).press('Enter')
    await page.getByRole('heading', { name: 'Linux C on serial' }).waitFor()
    assert.match(page.url(), /ranges=serial/)
    const wrong = page.waitForEvent('filechooser')
    await page.getByRole('button', { name: 'Map from a file' }).click()
    await (await wrong).setFiles({ name: 'no.txt', mimeType: 'text/plain', buffer: Buffer.from('no map') })
    assert.match(await page.getByRole('alert').innerText(), /no\.txt: no memory map found/)
    // A map can be dropped, too.
    const transfer = await page.evaluateHandle((text) => {
      const data = new DataTransfer()
      data.items.add(new File([text], 'dropped.log'))
      return data
    }, log)
    await page.locator('.map canvas').dispatchEvent('drop', { dataTransfer: transfer })
    await page.getByRole('option', { name: 'dropped (your file)' }).waitFor({ state: 'attached' })
  }),
)

test('the map zooms to a single frame; a click, the arrows or a name choose one', { skip }, () =>
  visit('', async ({ page }) => {
    await refusalShown(page)
    const says = page.locator('.cell-says')
    assert.match(await says.innerText(), /A cell is \d+ frames/)
    for (let i = 0; i < 20; i++) await press(page, '+')
    assert.equal(await says.innerText(), 'A cell is a frame.')
    const canvas = page.locator('.map canvas')
    await canvas.click({ position: { x: 5, y: 5 } })
    const mfn = page.locator('.frame dd').first()
    const first = Number.parseInt(await mfn.innerText(), 16)
    await press(page, 'ArrowRight')
    assert.equal(Number.parseInt(await mfn.innerText(), 16), first + 1)
    await press(page, 'ArrowLeft', 'ArrowLeft')
    assert.equal(Number.parseInt(await mfn.innerText(), 16), first - 1)
    await press(page, 's', '-', '0')
    assert.match(await says.innerText(), /A cell is \d+ frames/)
    await press(page, 'g')
    await page.keyboard.type('va:ffffffff811c5000\n')
    const root = who({ boot: {} }, 'va:ffffffff811c5000', REFUSED).mfn.replace('0x', '')
    await page.locator('.frame dd', { hasText: root }).waitFor()
    await page.locator('.frame dd', { hasText: 'L4, pinned' }).waitFor()
    await press(page, 'Tab')
    await page.getByLabel('Go to a frame').fill('pfn:fffffff')
    await page.getByLabel('Go to a frame').press('Enter')
    assert.match(await page.locator('.find [role=alert]').innerText(), /no frame of the machine has that pfn/)
  }),
)

test('pages of the buffer are chosen by a click and by the arrows', { skip }, () =>
  visit('', async ({ page }) => {
    await refusalShown(page)
    const pfn = page.locator('.frame dd').nth(1)
    const strip = page.locator('.strip canvas')
    await strip.click({ position: { x: 2, y: 2 } })
    assert.equal(await pfn.innerText(), 'ba7a4')
    await press(page, 'ArrowRight', 'ArrowRight')
    assert.equal(await pfn.innerText(), 'ba7a6')
    await press(page, 'ArrowDown', 'ArrowUp', 'ArrowLeft')
    assert.equal(await pfn.innerText(), 'ba7a5')
    assert.equal(await eventOf(page), REFUSED)
  }),
)

test('the table says in text what the map shows', { skip }, () =>
  visit('#v=1&event=22525&top=0', async ({ page }) => {
    await refusalShown(page)
    await press(page, 't')
    const rows = page.locator('.frame-table tbody tr')
    await rows.first().waitFor()
    const cells = await rows.first().locator('td').allInnerTexts()
    assert.equal(cells.length, 5)
    const kinds = new Set(await page.locator('.frame-table td:nth-child(4)').allInnerTexts())
    assert.ok(kinds.has('L1') && kinds.has('writable'), [...kinds].join(' '))
    await rows.nth(3).getByRole('button').click()
    assert.equal(
      await page.locator('.frame dd').first().innerText(),
      await rows.nth(3).locator('td').first().innerText(),
    )
    await page.getByRole('button', { name: 'Further' }).click()
    assert.notDeepEqual(await rows.first().locator('td').allInnerTexts(), cells)
    await press(page, 't')
    await page.locator('.map canvas').waitFor()
  }),
)

test('a picture and a trace can be saved; the trace is the one of the command line', { skip }, () =>
  visit(SMALL, async ({ page }) => {
    await page.locator('.verdict').waitFor()
    const picture = page.waitForEvent('download')
    await press(page, 'p')
    const png = await picture
    assert.equal(png.suggestedFilename(), `xenolith-D-${await eventOf(page)}.png`)
    assert.equal(
      readFileSync(await png.path())
        .subarray(1, 4)
        .toString(),
      'PNG',
    )
    const written = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Save the trace' }).click()
    const machine = bootOptions({ linux: 'D', domu: true, memory: '128M' })
    const lines: string[] = [traceHeader({ boot: machine })]
    boot(machine, (event) => lines.push(traceLine(event)))
    assert.ok(readFileSync(await (await written).path(), 'utf8') === `${lines.join('\n')}\n`)
    await page.getByRole('button', { name: 'Tell it in words' }).click()
    await page.locator('.account pre', { hasText: 'IT BOOTED' }).waitFor()
  }),
)

test('the address holds the moment; an old link opens it again', { skip }, async () => {
  let link = ''
  let event = 0
  await visit(`${SMALL}&frame=300`, async ({ page }) => {
    await page.locator('.holders').waitFor()
    event = (await eventOf(page)) - 1
    await press(page, 'ArrowLeft', '+', '+', '+')
    await page.waitForFunction(() => location.hash.includes('zoom=3'))
    link = new URL(page.url()).hash
  })
  await visit(link, async ({ page }) => {
    await page.locator('.holders').waitFor()
    assert.equal(await eventOf(page), event)
    assert.equal(new URL(page.url()).hash, link)
  })
  // Links of version 1 as they were first written: they have to work for ever.
  const old = '#v=1&linux=C&map=toshiba-tosqci-amd-8g&memory=1G&event=9000&frame=3000&zoom=4&theme=dark'
  await visit(old, async ({ page }) => {
    await page.locator('.holders').waitFor()
    assert.equal(await eventOf(page), 9000)
    assert.equal(await page.locator('.frame dd').first().innerText(), '3000')
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark')
  })
  await visit('#v=99', async ({ page }) => {
    const line = 'the link is of version 99; this page reads links up to version 2'
    assert.equal(await page.getByRole('alert').innerText(), line)
    await refusalShown(page)
  })
})

test('with reduced motion a boot plays by few pictures', { skip }, () =>
  visit(
    `${SMALL}&event=0`,
    async ({ page }) => {
      await page.locator('.verdict').waitFor()
      const moments = new Set<number>()
      await press(page, ' ')
      for (let i = 0; i < 30; i++) {
        moments.add(await eventOf(page))
        await page.waitForTimeout(50)
      }
      assert.ok(moments.size >= 2 && moments.size <= 5, `${moments.size} pictures in 1.5 s`)
      await press(page, ' ')
    },
    { reducedMotion: 'reduce' },
  ),
)

test('whatever a link says, the page stands', { skip }, async () => {
  const small = SMALL.slice(1)
  const links = [
    'v=1&linux=zzz',
    `${small}&zoom=40&top=ffffffffff&frame=ffffffffff&event=999999999999`,
    `${small}&table=1&top=ffffffffff&order=mfn&theme=green&view=nothing`,
    'v=1&ranges=a;host;;;0+10000000000000:0',
    'v=1&ranges=%00;%3Cimg%20src=x%20onerror=alert(1)%3E',
    'v=1&map=%3Cimg%20src=x%20onerror=alert(1)%3E',
    'v=1.5',
    '%%%',
    'v=1&memory=1p&domu=1',
  ]
  for (const link of links) {
    await visit(`#${link}`, async ({ page }) => {
      await page.locator('.verdict, .problem[role=alert]').first().waitFor()
      assert.equal(await page.locator('main img').count(), 0, link)
    })
  }
  await visit(`#${links[0]}`, async ({ page }) => {
    assert.match(await page.getByRole('alert').innerText(), /zzz/)
    await page.getByLabel('Linux', { exact: true }).fill('D')
    await page.getByLabel('Linux', { exact: true }).press('Enter')
    await page.getByText('Generation D came through').waitFor()
  })
})
