/** What is wrong with a text, for people; the caller knows the place. */
export class NotationError extends Error {}
