// The pieces of WebAssembly that the machine uses; Node and browsers both have them, and no library of types that suits
// both is part of the compiler's target.
declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number })
    readonly buffer: ArrayBuffer
  }
  class Table {
    constructor(descriptor: { element: 'anyfunc'; initial: number })
    readonly length: number
    grow(by: number): number
    set(at: number, value: ((...args: number[]) => number) | null): void
  }
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>)
  }
  class Instance {
    constructor(
      module: Module,
      imports: Record<string, Record<string, Memory | Table | ((...args: number[]) => number)>>,
    )
    readonly exports: Record<string, (...args: number[]) => number>
  }
}
