/** Kinds of access to memory, as whoever executes instructions asks for translations. */
export const READ = 0
export const WRITE = 1
/** A store to what was just loaded, as one access. */
export const MODIFY = 2
/** A store to these bytes and then, with no further question, to others of their page. */
export const WRITE_MORE = 3
