import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { createServer } from 'vite'
import { explainText } from '../../src/explain/explain.ts'
import { boot } from '../../src/run/boot/boot.ts'
import { mapLines } from '../../src/run/maps/map-text.ts'
import { findMap } from '../../src/run/maps/maps.ts'
import { root } from '../tools/tools.ts'
import { eventOf, noBrowser, pageForTests, press } from './page-tools.ts'

const { visit } = pageForTests()
const skip = noBrowser
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds that is serious or worse, with where. In the other scheme only colours are another. */
async function barriers(page: Page, rules?: readonly string[]): Promise<string[]> {
  // A page that may load nothing takes no script tag either; it is evaluated instead.
  await page.evaluate(axe)
  return page.evaluate(
    async (only) => {
      type Finding = { id: string; impact: string; nodes: { target: string[]; failureSummary: string }[] }
      type Axe = { run(options: object): Promise<{ violations: Finding[] }> }
      const { axe } = window as unknown as { axe: Axe }
      const { violations } = await axe.run(only === undefined ? {} : { runOnly: only })
      return violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(
          ({ id, nodes }) =>
            `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join('; ')}`,
        )
    },
    rules as string[] | undefined,
  )
}

/** A dom0's log as Xen and its kernel would have printed it. */
function crashLog(): string {
  const map = 'seedlike-bacf7'
  const { console: lines, machine } = boot({ map, firmwareMap: true })
  const base = 0xffff_ffff_8000_0000n
  const p2m = base + 0x200_0000n
  return [
    '(XEN) Xen version 4.1.0 (build@host) (gcc version 4.4.5) Fri Apr 29 12:00:00 UTC 2011',
    ...mapLines(findMap(map)),
    `(XEN)  Phys-Mach map: ${p2m.toString(16)}->${(p2m + BigInt(machine.nrPages) * 8n).toString(16)}`,
    `(XEN)  TOTAL:         ${base.toString(16)}->${(base + BigInt(machine.vEnd)).toString(16)}`,
    ...lines.slice(0, 3),
    'Linux version 2.6.39-rc5 (build@host) (gcc version 4.4.5) #1 SMP',
    `Command line: console=hvc0 ${machine.append}`,
    ...lines.slice(3),
  ].join('\n')
}

test('side by side B and C part where the tail is mapped, and go on in step', { skip }, () =>
  visit('#v=1&view=compare', async ({ page }) => {
    const verdict = page.locator('.verdict')
    await verdict.waitFor()
    assert.match(await verdict.innerText(), /event 22,259, mmuext_op PIN_L1_TABLE mfn aadf6/)
    assert.match(await verdict.innerText(), /After it 137 frames look different/)
    assert.equal(await eventOf(page), 22259)
    const differs = page.locator('.legend li', { hasText: 'differs' }).first()
    assert.match(await differs.innerText(), /137/)
    const moments = page.locator('.twins .facts')
    assert.match(await moments.nth(0).innerText(), /mfn b1d89\s+writable/)
    assert.match(await moments.nth(1).innerText(), /mfn b1d89\s+read-only/)
    await press(page, 'ArrowLeft')
    assert.match(await differs.innerText(), /\b0\b/)
    await press(page, 'End')
    assert.match(await moments.nth(1).innerText(), /140,156 of 140,156/)
    await press(page, 'x')
    assert.equal(await eventOf(page), 22259)
    // The shades of difference are on both maps.
    const pink = await page.locator('.map canvas').evaluateAll((all) =>
      all.map((canvas) => {
        const { data } = (canvas as HTMLCanvasElement)
          .getContext('2d')!
          .getImageData(0, 0, (canvas as HTMLCanvasElement).width, (canvas as HTMLCanvasElement).height)
        let found = 0
        for (let i = 0; i < data.length; i += 4)
          if (data[i] === 0xd6 && data[i + 1] === 0x00 && data[i + 2] === 0x6c) found++
        return found
      }),
    )
    assert.ok(pink.length === 2 && pink.every((found) => found > 0), pink.join(' '))
    // The same as text.
    await press(page, 't')
    const rows = await page.locator('.frame-table tbody tr').allInnerTexts()
    const cells = rows.map((row) => row.split('\t'))
    assert.equal(
      cells.reduce((sum, row) => sum + Number(row[2]), 0),
      137,
    )
    assert.ok(
      cells.every((row) => row[3] === 'writable' && row[4] === 'read-only'),
      rows.join('\n'),
    )
    assert.equal(cells[0][1], 'bacf7')
    await press(page, 't')
    await page.getByLabel('beside').selectOption('B+seed')
    await page.getByText('Both do the same, deed by deed.').waitFor()
  }),
)

test('a pasted log is explained, decoded where it stands, and booted with one click', { skip }, () =>
  visit('#v=1&view=explain', async ({ page }) => {
    const log = crashLog()
    await page.getByRole('button', { name: 'Explain', exact: true }).last().click()
    assert.match(await page.getByRole('alert').innerText(), /nothing to explain yet/)
    await page.getByLabel('Paste what the machine said').fill(log)
    await page.locator('.paste').getByRole('button', { name: 'Explain', exact: true }).click()
    const report = explainText(log)
    assert.equal(report.confirmation?.verdict, 'same-pfn')
    await page.getByRole('heading', { name: report.title }).waitFor()
    await page.getByText(report.confirmation?.says ?? 'nothing').waitFor()
    const saw = report.decoded.typeWords[0]
    const word = page.locator('.log .word', { hasText: saw.word })
    assert.match(
      (await word.first().getAttribute('aria-label')) ?? '',
      new RegExp(`type ${saw.type}, .*count ${saw.count}`),
    )
    const tip = word.first().locator('.tip')
    assert.equal(await tip.isVisible(), false)
    await word.first().hover()
    assert.equal(await tip.isVisible(), true)
    const marked = await page.locator('.log li.evidence').allInnerTexts()
    assert.ok(marked.some((line) => line.includes('Bad type')))
    await page.getByRole('button', { name: 'Open it in the boot view' }).click()
    const pfn = report.confirmation?.ran?.pfn?.replace('0x', '')
    await page.getByText(`Xen refused pfn ${pfn}`).waitFor()
    await page.getByText('This entry, written then, is why').waitFor()
  }),
)

test('a log can be dropped; one without Xen, and a hostile one, are taken for what they are', { skip }, () =>
  visit('#v=1&view=explain', async ({ page }) => {
    const drop = async (text: string): Promise<void> => {
      const transfer = await page.evaluateHandle((content) => {
        const data = new DataTransfer()
        data.items.add(new File([content], 'dropped.log'))
        return data
      }, text)
      await page.locator('.view.explain').dispatchEvent('drop', { dataTransfer: transfer })
    }
    await drop('just some lines\nof nothing')
    await page.getByRole('heading', { name: 'Nothing in this log is of Xen' }).waitFor()
    const hostile =
      '(XEN) mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn b1d89 (pfn bacf7) <img src=x onerror=alert(1)>'
    await drop(hostile)
    await page.locator('.log .word').first().waitFor()
    assert.equal(await page.locator('.log img').count(), 0)
    assert.ok((await page.locator('.log li').innerText()).includes('<img src=x'))
  }),
)

test('a short log travels in the link', { skip }, async () => {
  const line =
    '(XEN) mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn b1d89 (pfn bacf7)'
  const link = `#${new URLSearchParams({ v: '1', view: 'explain', log: line })}`
  await visit(link, async ({ page }) => {
    await page.getByRole('heading', { name: explainText(line).title }).waitFor()
  })
})

for (const [colorScheme, rules] of [
  ['light', undefined],
  ['dark', ['color-contrast']],
] as const) {
  test(`axe finds no serious barrier in any view: ${colorScheme}`, { skip }, () =>
    visit(
      '',
      async ({ page }) => {
        await page.getByText('This entry, written then, is why').waitFor()
        assert.deepEqual(await barriers(page, rules), [])
        await press(page, 't')
        await page.locator('.frame-table tbody tr').first().waitFor()
        assert.deepEqual(await barriers(page, rules), [])
        await press(page, '?')
        await page.getByRole('dialog').waitFor()
        assert.deepEqual(await barriers(page, rules), [])
        await press(page, 'Escape', '2')
        await page.locator('.twins').waitFor()
        assert.deepEqual(await barriers(page, rules), [])
        await press(page, '3')
        await page.getByLabel('Paste what the machine said').fill(crashLog())
        await page.locator('.paste').getByRole('button', { name: 'Explain', exact: true }).click()
        await page.getByRole('button', { name: 'Open it in the boot view' }).waitFor()
        assert.deepEqual(await barriers(page, rules), [])
      },
      { colorScheme },
    ),
  )
}

test('the keys are listed, and every view is reached by keys alone', { skip }, () =>
  visit('', async ({ page }) => {
    await page.locator('.verdict').waitFor()
    await press(page, '?')
    const sheet = page.getByRole('dialog', { name: 'Keys' })
    assert.match(await sheet.innerText(), /next hypercall/)
    // Keys belong to the sheet while it is open.
    const before = await eventOf(page)
    await press(page, 'Home')
    assert.equal(await eventOf(page), before)
    await press(page, 'Escape')
    await sheet.waitFor({ state: 'detached' })
    await press(page, '3')
    await page.getByLabel('Paste what the machine said').waitFor()
    await press(page, '1')
    await page.locator('.verdict').waitFor()
    // Everything that can be pressed is reached with the tabulator, and shows it.
    const reached = new Set<string>()
    for (let i = 0; i < 60; i++) {
      await press(page, 'Tab')
      reached.add(
        await page.evaluate(
          () =>
            document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
        ),
      )
    }
    for (const name of ['Boot', 'Zoom in', 'Play', 'Next hypercall', 'Save the trace', 'Moment of the boot'])
      assert.ok(reached.has(name), `${name} is not reached; ${[...reached].join(', ')}`)
  }),
)

test('on a phone nothing is wider than the screen', { skip }, () =>
  visit(
    '',
    async ({ page }) => {
      await page.getByText('This entry, written then, is why').waitFor()
      for (const key of ['1', '2', '3']) {
        await press(page, key)
        await page.locator('.view').waitFor()
        if (key === '2') await page.locator('.twins').waitFor()
        const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
        assert.ok(wide <= screen, `view ${key}: ${wide} of ${screen} pixels`)
      }
    },
    { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
  ),
)

test('the development server shows the same page', { skip }, async () => {
  const dev = await createServer({
    configFile: `${root}web/vite.config.ts`,
    logLevel: 'error',
    server: { port: 0, host: '127.0.0.1' },
  })
  try {
    await dev.listen()
    const { port } = dev.httpServer!.address() as AddressInfo
    await visit(
      '',
      async ({ page }) => {
        await page.getByText('Xen refused pfn bacf7').waitFor()
      },
      { base: `http://127.0.0.1:${port}/` },
    )
  } finally {
    await dev.close()
  }
})
