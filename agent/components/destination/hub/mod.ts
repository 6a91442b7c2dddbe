export { HubDestination, type HubOutlet } from './destination.ts'
export { Outbox } from './outbox.ts'
export { type HubDestinationSettings, hubDestinationSettings } from './settings.ts'
