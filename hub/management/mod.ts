export { commands, configOf, data, json } from './commands.ts'
export { managementFault } from './faults.ts'
export { fetchStatus, ManagementServer } from './server.ts'
