export { generations } from '../../linux/generations.ts'
