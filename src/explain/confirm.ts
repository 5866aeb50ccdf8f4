export type Confirmation = { readonly verdict: string; readonly says: string }
export function confirm(_input: unknown): Confirmation | undefined {
  return undefined
}
