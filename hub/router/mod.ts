// Where messages go: at once by topic and headers (`router.ts`), later by content and through pipelines (`conductor.ts`), as the rules say
// that were deployed (`routes.ts`, `rules/`).

export { bringFiles, type RulesVersion } from './deployments.ts'
export { routerFault } from './faults.ts'
export { Router } from './router.ts'
export { type Deployment, Routes, type RoutesView, RulesRefused } from './routes.ts'
