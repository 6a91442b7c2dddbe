export { loadAgentConfig, transferLimitsOf } from './load.ts'
export { type AgentConfig, agentSpec, RATE_MAX } from './spec.ts'
export { rateOf, windowProblem } from './windows.ts'
