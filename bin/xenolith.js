#!/usr/bin/env node
// The one file that must run on any Node, however old: it finds a runtime that can run the rest, and the rest.
import { spawn } from 'node:child_process'
import { existsSync, writeSync } from 'node:fs'
import module from 'node:module'
import { isatty } from 'node:tty'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))

// A clone runs its TypeScript as it is, which Node does since 22.18; the published package is JavaScript.
const source = here('src/cli/main.ts')
const inClone = existsSync(source)
const program = inClone ? source : here('dist/cli/main.js')
const needed = inClone ? [22, 18] : [22, 0]

// Whoever lists processes sees their words: a password in an address is not for them.
if (process.argv.some((word) => /:\/\/[^/]*@/.test(word))) process.title = 'xenolith'

const [major, minor] = process.versions.node.split('.').map(Number)
const newEnough = major > needed[0] || (major === needed[0] && minor >= needed[1])
const bundled = here('node_modules/.bin/node')

/** By this the process that only starts another one tells it its number. */
const WRAPPER = 'XENOLITH_WRAPPER'

if (newEnough) runHere()
else if (inClone && existsSync(bundled)) runWith(bundled)
else {
  const remedy = inClone ? "; 'npm ci' in the clone brings one along" : ''
  fail(`Node ${needed.join('.')} or newer is needed, this is ${process.versions.node}${remedy}`)
}

function runHere() {
  const wrapper = Number(process.env[WRAPPER])
  delete process.env[WRAPPER]
  if (wrapper > 0) endWith(wrapper)
  // Most of a short run's time would go into stripping types and compiling: that is kept, beside the packages.
  if (inClone) module.enableCompileCache?.(here('node_modules/.cache/compiled'))
  import(pathToFileURL(program).href)
    .then(({ main }) => main(process.argv.slice(2)))
    .then((status) => {
      process.exitCode = status
    })
    .catch((error) => {
      if (error.code !== 'ERR_MODULE_NOT_FOUND' || !inClone) throw error
      fail("a package that it needs is not there; run 'npm ci' in the clone first")
    })
}

/** The clone brings its own Node along as a package: the same command again, with that one. */
function runWith(runtime) {
  const env = { ...process.env, [WRAPPER]: String(process.pid) }
  // A terminal sends ^C to both of us and the child decides what it means; what is sent to us alone is handed on.
  // Asked by number: to touch process.stdin would make the pipe that the child inherits a non-blocking one.
  const onTerminal = [0, 1, 2].some((stream) => isatty(stream))
  const handOn = (signal) => {
    if (signal !== 'SIGINT' || !onTerminal) child.kill(signal)
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  // Before there is a child, so that none outlives a signal that comes while it starts.
  for (const signal of signals) process.on(signal, handOn)
  const child = spawn(runtime, process.argv.slice(1), { stdio: 'inherit', env })
  child.on('error', (error) => fail(`cannot run ${runtime}: ${error.message}`))
  child.on('exit', (status, signal) => {
    for (const name of signals) process.off(name, handOn)
    if (signal) process.kill(process.pid, signal)
    else process.exitCode = status
  })
}

/**
 * End with the process that has started this one, even where it had no time to say so: a process without a parent gets
 * another one. A thread looks, as the first one may be busy for long.
 */
function endWith(parent) {
  const watch = `const { workerData } = require('node:worker_threads')
    const look = setInterval(() => {
      if (process.ppid === workerData) return
      clearInterval(look)
      process.kill(process.pid, 'SIGTERM')
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), 1000)
    }, 250)`
  new Worker(watch, { eval: true, workerData: parent }).unref()
}

function fail(message) {
  process.exitCode = 2
  try {
    writeSync(2, `xenolith: ${message}\n`)
  } catch {
    // There is nobody to tell.
  }
}
