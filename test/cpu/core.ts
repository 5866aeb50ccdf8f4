import type { Subject } from './case.ts'

const MODULE = './subject.ts'

/** The core, as something that runs cases. */
export async function coreSubject(): Promise<Subject> {
  return (await import(MODULE)).createSubject()
}
