export { loadAgentConfig, transferLimitsOf } from './load.ts'
export { type AgentConfig, agentSpec, RATE_MAX } from './spec.ts'
export { lowerRate, rateOf, type Schedule, windowProblem } from './windows.ts'
