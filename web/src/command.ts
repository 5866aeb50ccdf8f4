import type { MachineOptions } from './messages.ts'

/** Options of `xenolith boot` that take a word, by their name on the command line. */
const VALUES: Readonly<Record<string, keyof MachineOptions>> = {
  linux: 'linux',
  xen: 'xen',
  memory: 'memory',
  'v-end': 'vEnd',
  'kernel-size': 'kernelSize',
  'initrd-size': 'initrdSize',
  append: 'append',
  config: 'config',
  maxmem: 'maxmem',
}
const FLAGS: Readonly<Record<string, keyof MachineOptions>> = {
  dom0: 'dom0',
  domu: 'domu',
  'firmware-map': 'firmwareMap',
  'no-e820': 'noE820',
}

/** The options in a command as `explain` prints it, but for the map; a word in single quotes is one word. */
export function optionsOfCommand(command: string): MachineOptions {
  const words = [...command.matchAll(/'((?:[^']|'\\'')*)'?|(\S+)/g)].map(
    ([, quoted, bare]) => bare ?? quoted.replaceAll("'\\''", "'"),
  )
  const options: Record<string, string | boolean> = {}
  words.forEach((word, i) => {
    const name = word.startsWith('--') ? word.slice(2) : ''
    if (Object.hasOwn(VALUES, name)) options[VALUES[name]] = words[i + 1] ?? ''
    if (Object.hasOwn(FLAGS, name)) options[FLAGS[name]] = true
  })
  return options
}
