import { readFileSync } from 'node:fs'
import { defineConfig, type Plugin } from 'vite'

/** All that a built page may do: run what is in it, and WebAssembly that it makes. Nothing can be fetched, and nothing sent. */
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob: data:; worker-src blob: data:; style-src 'unsafe-inline'; img-src data: blob:"

/** What the page has of others, and on which terms: the MIT licence wants to go along. */
function notices(): string {
  const text = readFileSync(new URL('../node_modules/preact/LICENSE', import.meta.url), 'utf8')
  return `<!--\nThis page is of Xenolith, under the Apache License 2.0. It holds Preact:\n\n${text.replaceAll('--', '- -')}-->\n`
}

/**
 * One file that needs no server: script and style stand in the page itself, and the worker in the script. A page opened
 * from `file://` may load no other file.
 */
function singleFile(): Plugin {
  return {
    name: 'single-file',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const page = bundle['index.html']
      if (page?.type !== 'asset') throw new Error('no index.html in the bundle')
      let html = String(page.source).replace(
        '<head>',
        `<head><meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
      )
      for (const [name, file] of Object.entries(bundle)) {
        if (name === 'index.html') continue
        if (file.type === 'chunk') {
          // The page's own end of a script must not be in it, and `$` has no meaning of its own here.
          const code = file.code.replaceAll('</script', '<\\/script')
          html = html.replace(/<script type="module"[^>]*><\/script>/, '')
          html = html.replace('</body>', () => `<script type="module">${code}</script></body>`)
        } else if (name.endsWith('.css')) {
          html = html.replace(/<link rel="stylesheet"[^>]*>/, () => `<style>${String(file.source)}</style>`)
        } else throw new Error(`${name}: the page must be one file`)
        delete bundle[name]
      }
      page.source = html.replace('<html', () => `${notices()}<html`)
    },
  }
}

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  // The machine's own files lie beside the page's.
  server: { fs: { allow: ['..'] } },
  build: { outDir: 'dist', emptyOutDir: true, modulePreload: false, assetsInlineLimit: 0, target: 'es2024' },
  worker: { format: 'iife' },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [singleFile()],
})
