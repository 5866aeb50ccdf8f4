import { deserialize, serialize } from 'node:v8'
import { gunzipSync, gzipSync } from 'node:zlib'
import { BadInput } from '../../bits/bad-input.ts'
import type { SavedCpu } from '../../cpu/cpu.ts'
import { Guest } from '../../guest/guest.ts'
import { Memory, type SavedMemory } from '../../machine/memory.ts'
import { Vcpu } from '../../machine/vcpu/vcpu.ts'
import { ConsoleRing } from '../../toolstack/console-ring.ts'
import { type SavedXenstore, Xenstore } from '../../toolstack/xenstore.ts'
import type { Domain } from '../../xen/domain.ts'
import { Hypervisor, type SavedXen } from '../../xen/hypervisor.ts'
import type { Port } from '../../xen/sched/event-channels.ts'
import { xenVersion } from '../../xen/versions/index.ts'
import { DOMAIN_ID, hostFor, type KernelMachine } from './kernel-machine.ts'

/**
 * A machine in a file: what it is made of, its memory, and what its parts keep outside of that. What can be computed from
 * the memory, as decoded instructions and translations, is not in it.
 */
const MAGIC = 'xenolith snapshot 2\n'

type Snapshot = {
  readonly xenName: string
  /** What the domain is called. */
  readonly name: string
  readonly nrPages: number
  readonly memory: SavedMemory
  readonly xen: SavedXen
  readonly cpu: SavedCpu
  readonly vcpu: { readonly root: number; readonly kernelMode: boolean; readonly faultAddress: number }
  /** The domain's fields but for its vCPUs, and for the ends of its ports that are dom0's. */
  readonly domain: Omit<Domain, 'vcpus' | 'ports'> & { readonly ports: readonly (Port | null)[] }
  readonly console: readonly number[]
  readonly xenstore: SavedXenstore
  readonly storeMfn: number
  readonly consoleMfn: number
  /** The kernel's symbols, as a System.map. */
  readonly symbols: string
}

/** The machine as it is, as a file. Its guest must be alive. */
export function saveSnapshot(machine: KernelMachine, symbols: string): Uint8Array {
  const { xen, start, guest, console, xenstore } = machine
  const { vcpus, ports, ...rest } = start.domain
  const [vcpu] = vcpus
  const snapshot: Snapshot = {
    xenName: xen.version.name,
    name: machine.name,
    nrPages: machine.nrPages,
    memory: xen.memory.save(guest.cpu.ownPages),
    xen: xen.save(),
    cpu: guest.cpu.save(),
    vcpu: { root: vcpu.root, kernelMode: vcpu.kernelMode, faultAddress: vcpu.faultAddress },
    domain: { ...rest, ports: Array.from(ports, (port) => savedPort(port)) },
    console: console.save(),
    xenstore: xenstore.save(),
    storeMfn: start.storeMfn,
    consoleMfn: start.consoleMfn,
    symbols,
  }
  return Buffer.concat([Buffer.from(MAGIC), gzipSync(serialize(snapshot), { level: 1 })])
}

/** The toolstack's ends are made anew with the machine; a domU without company has no port to another guest's. */
function savedPort(port: Port | undefined): Port | null {
  return port === undefined || port.kind === 'backend' || port.kind === 'interdomain' ? null : port
}

/**
 * The machine that a file holds, about to go on.
 *
 * @param onOutput gets what the guest writes to its console
 * @throws BadInput for a file that is none, or is damaged
 */
export function restoreSnapshot(
  file: Uint8Array,
  source: string,
  onOutput: (bytes: Uint8Array) => void,
): KernelMachine {
  const snapshot = read(file, source)
  const { domain: saved, nrPages } = snapshot
  const xen = new Hypervisor(xenVersion(snapshot.xenName), hostFor(nrPages), new Memory())
  const domain = xen.addDomain(DOMAIN_ID, false)
  const vcpu = new Vcpu(xen.memory, xen, DOMAIN_ID)
  xen.addVcpu(domain, vcpu)
  const { ports, ...fields } = saved
  Object.assign(domain, fields)
  xen.restore(snapshot.xen)
  xen.memory.restore(snapshot.memory)
  // The toolstack's ends find their pages mapped, and take the first ports, as when the machine was built.
  const xenstore = new Xenstore(xen, domain, snapshot.storeMfn, new Map())
  const console = new ConsoleRing(xen, domain, snapshot.consoleMfn, onOutput)
  for (const [n, port] of ports.entries()) if (port !== null) domain.ports[n] = port
  const guest = new Guest(xen, vcpu, 0)
  // The core has begun with registers of its own and told the guest the time: what was saved counts.
  xen.memory.restorePages(snapshot.memory)
  guest.cpu.restore(snapshot.cpu)
  Object.assign(vcpu, snapshot.vcpu)
  xenstore.restore(snapshot.xenstore)
  console.restore(snapshot.console)
  const start = { domain, vcpu, storeMfn: snapshot.storeMfn, consoleMfn: snapshot.consoleMfn }
  const { name } = snapshot
  return {
    xen,
    name,
    start,
    guest,
    console,
    xenstore,
    nrPages,
    layout: null,
    elf: null,
    symbols: snapshot.symbols,
  }
}

function read(file: Uint8Array, source: string): Snapshot {
  const magic = Buffer.from(file.subarray(0, MAGIC.length)).toString('latin1')
  if (magic !== MAGIC) {
    throw new BadInput(`${source}: no snapshot of this version; make one by --snapshot FILE`)
  }
  try {
    return deserialize(gunzipSync(file.subarray(MAGIC.length))) as Snapshot
  } catch (error) {
    if (!(error instanceof Error)) throw error
    throw new BadInput(`${source}: the snapshot is cut off or damaged; make it again`)
  }
}
