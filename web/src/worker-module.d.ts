/** Vite's way to a worker that stands in the page itself. */
declare module '*?worker&inline' {
  const InlineWorker: new (options?: { name?: string }) => Worker
  export default InlineWorker
}

declare module '*.css' {}
