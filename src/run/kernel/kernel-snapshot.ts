import { createHash } from 'node:crypto'
import { PAGE } from '../../bits/address.ts'
import { BadInput } from '../../bits/bad-input.ts'
import type { CoreOptions, Cpu } from '../../cpu/cpu.ts'
import { restoreCpu, saveCpu } from '../../cpu/saved-cpu.ts'
import { checkedJson } from '../../files/checked.ts'
import { Guest } from '../../guest/guest.ts'
import { Memory } from '../../machine/memory.ts'
import { portLimit } from '../../toolstack/build-domu.ts'
import { ConsoleRing } from '../../toolstack/console-ring.ts'
import { guestMap } from '../../toolstack/guest-map.ts'
import { HostConsole } from '../../toolstack/host-console.ts'
import { Xenstore } from '../../toolstack/xenstore.ts'
import type { Domain, Port } from '../../xen/domain.ts'
import { grantFrames } from '../../xen/hypercalls/grant-table-op.ts'
import type { Hypervisor } from '../../xen/hypervisor.ts'
import type { PvVcpu } from '../../xen/pv-vcpu.ts'
import { xenVersion } from '../../xen/versions/index.ts'
import { Xen } from '../../xen/xen.ts'
import { checkMap } from '../maps/maps.ts'
import { dom0Xen } from './dom0-host.ts'
import { DOMAIN_ID, hostFor, type KernelMachine, type NamedFile } from './kernel-machine.ts'
import { type Head, HeadForm, type SavedPort } from './snapshot/form.ts'
import { frameParts, framesOf, readFrames } from './snapshot/frames.ts'
import { machineFault } from './snapshot/machine-fault.ts'
import { PackedReader, packed } from './snapshot/packed-stream.ts'

/**
 * A machine in a file: what it is made of, the bytes of its frames, and what its parts keep outside of them. What can be
 * computed from that, as decoded instructions and translations, is not in it. The same machine makes the same file.
 *
 *     "xenolith snapshot 7", hash of the head | the head, a line of JSON | symbols and frames, packed
 */
const MAGIC = 'xenolith snapshot 7 '
/** Free memory of a guest that was fragmented as far as can be; ordinary ones take some thousand bytes. */
const LARGEST_HEAD = 2 ** 28

/** A snapshot's file: its bytes, or how to read them part by part, as often as asked. */
export type SnapshotFile = NamedFile | { readonly name: string; readonly parts: () => Iterable<Uint8Array> }

/** The machine as it is, as the parts of a file. Its guest must be alive, and not run until the last part is taken. */
export function* snapshotParts(machine: KernelMachine, symbols: string): Generator<Uint8Array> {
  const { xen, start } = machine
  const saved = framesOf(xen, start.domain)
  const names = Buffer.from(symbols)
  const head = JSON.stringify(headOf(machine, saved.groups, saved.frames.length, names.length))
  yield Buffer.from(`${MAGIC}${sha256(head)}\n${head}\n`)
  yield* packed(
    (function* () {
      yield names
      yield* frameParts(xen, start.domain, saved)
    })(),
  )
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** What of the head is not plain data by itself: bytes are text, maps are lists, and no time is null. */
type Written = Omit<Head, 'console' | 'vcpus'> & {
  readonly console: string
  readonly vcpus: readonly WrittenVcpu[]
}
type SavedVcpu = Head['vcpus'][number]
type WrittenVcpu = Omit<SavedVcpu, 'cpu' | MapName> &
  Record<MapName, unknown> & { readonly cpu: Omit<SavedVcpu['cpu'], 'fpu'> & { readonly fpu: string } }
type MapName = 'traps' | 'callbacks' | 'ldtFrames'

function headOf(machine: KernelMachine, groups: readonly number[], frames: number, symbols: number): Written {
  const { xen, name, guest, console, nrPages, dom0 } = machine
  const { domain } = machine.start
  const rings = machine.dom0 === null ? machine.start : { storeMfn: null, consoleMfn: null }
  const { id, owner, privileged, vcpus, crashed, shutdown, ...more } = domain
  const { sharedInfo, memoryMap, grantFrames, backendPages, maxPort, ...rest } = more
  return {
    xen: xen.version.name,
    name,
    nrPages,
    groups,
    frames,
    symbols,
    dom0,
    storeMfn: rings.storeMfn,
    consoleMfn: rings.consoleMfn,
    console: Buffer.from(console.save()).toString('base64'),
    vcpus: vcpus.map((vcpu) => writtenVcpu(vcpu, guest.cpu)),
    xenstore: machine.xenstore?.save() ?? null,
    hypervisor: xen.save(),
    domain: {
      ...rest,
      ports: Array.from(rest.ports, savedPort),
      grants: grantFrames.length,
      mapPages: memoryMap === null ? null : memoryMap[0].end / PAGE,
    },
  }
}

function writtenVcpu({ id: _id, domain: _domain, port, ...rest }: PvVcpu, core: Cpu): WrittenVcpu {
  const cpu = saveCpu(core)
  return {
    ...rest,
    port: { root: port.root, kernelMode: port.kernelMode, faultAddress: port.faultAddress },
    cpu: { ...cpu, fpu: Buffer.from(cpu.fpu).toString('base64') },
    traps: [...rest.traps],
    callbacks: [...rest.callbacks],
    ldtFrames: [...rest.ldtFrames],
  }
}

function savedPort(port: Port | undefined): SavedPort {
  if (port === undefined) return null
  if (port.kind === 'backend') return { kind: 'backend' }
  // The only other domain is dom0, which is no guest here and binds nothing.
  if (port.kind !== 'interdomain') return port
  return { kind: 'interdomain', port: port.port, vcpu: port.vcpu }
}

/**
 * The machine that a file holds, about to go on. Nothing of the file is believed: its hashes tell damage, and what could
 * not have come about by a guest's own doing is refused, as anybody can write a file and its hashes.
 *
 * @param onOutput gets what the guest writes to its console
 * @param core how its code is executed: any machine goes on in any way
 * @throws BadInput for a file that is none, or is damaged
 */
export function restoreSnapshot(
  file: SnapshotFile,
  onOutput: (bytes: Uint8Array) => void,
  memory = new Memory(),
  core: CoreOptions = {},
): KernelMachine {
  const source = file.name
  const reader = new PackedReader('bytes' in file ? [file.bytes] : file.parts(), source)
  const head = readHead(reader, source)
  const symbols = new Uint8Array(head.symbols)
  reader.read(symbols)
  const { xen, domain } = machineOf(head, memory, source)
  const vcpu = xen.addVcpu(domain).port
  domain.sharedInfo = xen.allocateXenFrame(domain.owner)
  grantFrames(xen, domain, head.domain.grants)
  const guest = new Guest(xen, vcpu, 0, core)
  const misplaced = readFrames(reader, xen, domain, head.groups, head.frames)
  // What came to harm on the way is no lie.
  if (misplaced === null) reader.end()
  else reader.skip()
  const fault = misplaced ?? restoreState(head, xen, domain)
  if (fault !== null) throw impossible(source, fault)
  const ends = endsOf(head, xen, domain, onOutput)
  if (ends === null || !restorePorts(head.domain.ports, domain))
    throw impossible(source, 'its ports are none')
  if (head.xenstore !== null) ends.xenstore?.restore(head.xenstore)
  ends.console.restore([...head.console])
  restoreCpu(guest.cpu, head.vcpus[0].cpu, xen.clock.now)
  const text = Buffer.from(symbols).toString('utf8')
  const { name, nrPages } = head
  const parts = { xen, name, guest, nrPages, layout: null, elf: null, symbols: text }
  if (ends.dom0 === null) return { ...parts, ...ends, start: { domain, vcpu, ...ends.rings } }
  return { ...parts, ...ends, start: { domain, vcpu } }
}

/** A machine without its frames, and its domain. Throws BadInput where the file's map is none. */
function machineOf(
  head: Head,
  memory: Memory,
  source: string,
): { readonly xen: Hypervisor; readonly domain: Domain } {
  const version = xenVersion(head.xen)
  if (head.dom0 === null) {
    const xen = new Xen(version, hostFor(head.nrPages), memory)
    const domain = xen.addDomain(DOMAIN_ID, false)
    domain.maxPort = portLimit(version)
    return { xen, domain }
  }
  checkMap({ name: source, kind: 'host', entries: head.dom0.entries, partial: false, source })
  const xen = dom0Xen(head.dom0, version, memory)
  return { xen, domain: xen.addDomain(0, true) }
}

/** The other ends of what the domain speaks by. Null where the file has not what they need. */
function endsOf(
  { dom0, storeMfn, consoleMfn, xenstore }: Head,
  xen: Hypervisor,
  domain: Domain,
  onOutput: (bytes: Uint8Array) => void,
) {
  if (dom0 !== null) {
    return { dom0, console: new HostConsole(xen, domain, onOutput), xenstore: null }
  }
  if (storeMfn === null || consoleMfn === null || xenstore === null) return null
  return {
    dom0,
    rings: { storeMfn, consoleMfn },
    xenstore: new Xenstore(xen, domain, storeMfn, new Map()),
    console: new ConsoleRing(xen, domain, consoleMfn, onOutput),
  }
}

function readHead(reader: PackedReader, source: string): Head {
  const first = reader.line(MAGIC.length + 64)
  if (first?.startsWith(MAGIC) !== true) {
    throw new BadInput(`${source}: no snapshot of this version; make one by --snapshot FILE`)
  }
  const text = reader.line(LARGEST_HEAD)
  if (text === null || first !== MAGIC + sha256(text)) throw reader.damaged()
  const head = checkedJson({ text, schema: HeadForm, what: `${source}: the snapshot` })
  const { nrPages, groups, frames } = head
  const isAscending = groups.every((group, i) => i === 0 || groups[i - 1] < group)
  if (!isAscending) throw impossible(source, 'its records are in no order')
  // Beside RAM there are the M2P, a frame for 512, and what is shared.
  const most =
    head.dom0 === null ? nrPages : head.dom0.entries.reduce((sum, e) => sum + (e.end - e.start) / PAGE, 0)
  if (frames > most * 1.01 + MOST_OTHER_FRAMES) throw impossible(source, 'it has more frames than memory')
  return head
}

/** Frames of the M2P's last group, and of the grant table. */
const MOST_OTHER_FRAMES = 1024

function impossible(source: string, why: string): BadInput {
  return new BadInput(`${source}: the snapshot cannot be: ${why}; make it again`)
}

/** What Xen knows of the domain and its vCPUs. Null, or what cannot be. */
function restoreState(head: Head, xen: Hypervisor, domain: Domain): string | null {
  const { ports, grants, mapPages, ...fields } = head.domain
  domain.memoryMap = mapPages === null ? null : guestMap(mapPages)
  Object.assign(domain, fields)
  xen.restore(head.hypervisor)
  for (const [n, { port, cpu: _cpu, ...saved }] of head.vcpus.entries()) {
    Object.assign(domain.vcpus[n], saved)
    Object.assign(domain.vcpus[n].port, port)
  }
  // The toolstack's ends have their pages mapped, and find them so.
  if (head.storeMfn !== null) domain.backendPages.push({ mfn: head.storeMfn, user: 'xenstore' })
  if (head.consoleMfn !== null) domain.backendPages.push({ mfn: head.consoleMfn, user: 'console' })
  return machineFault(xen, domain)
}

/** The toolstack's ends of ports are made with the machine; those that the guest has closed are so again. */
function restorePorts(ports: readonly SavedPort[], domain: Domain): boolean {
  const made = [...domain.ports]
  domain.ports.length = 0
  for (const [n, port] of ports.entries()) {
    if (port === null) continue
    const isBackend = port.kind === 'backend'
    if (isBackend && made[n] === undefined) return false
    domain.ports[n] = isBackend ? made[n] : port.kind === 'interdomain' ? { ...port, domain } : port
  }
  domain.ports.length = ports.length
  return true
}
