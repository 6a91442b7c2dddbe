export { HubDestination, type HubOutlet } from './destination.ts'
export { type HubDestinationSettings, hubDestinationSettings } from './settings.ts'
