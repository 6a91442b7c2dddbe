// The commands of causeway-hub that work on a data folder or ask a running hub.

import { forget, purge, redrive, replay } from './act.ts'
import { agents, grant, groups, groupsAdd, groupsRemove, invite, revoke } from './agents.ts'
import { contentsList, contentsRemove, contentsShow } from './contents.ts'
import { linkDownload, linkList, linkRevoke, linkUpload } from './link.ts'
import { peek, queues, trace } from './look.ts'
import { routeExplain, routeLint } from './route.ts'
import { routeDeploy, routeDryRun, routeForget, routeHistory, routeRollback } from './route-live.ts'
import { routeTest } from './route-test.ts'
import { doctor, init } from './setup.ts'
import { status } from './status.ts'
import { storeCheck, storeCompact, storeRepair, storeRestored } from './store.ts'

export { configOf, data, json } from './settings.ts'

export const commands = {
  init,
  invite,
  agents,
  grant,
  revoke,
  groups,
  'groups add': groupsAdd,
  'groups remove': groupsRemove,
  'contents list': contentsList,
  'contents show': contentsShow,
  'contents remove': contentsRemove,
  'link upload': linkUpload,
  'link download': linkDownload,
  'link list': linkList,
  'link revoke': linkRevoke,
  'route lint': routeLint,
  'route test': routeTest,
  'route explain': routeExplain,
  'route deploy': routeDeploy,
  'route history': routeHistory,
  'route rollback': routeRollback,
  'route forget': routeForget,
  'route dry-run': routeDryRun,
  status,
  queues,
  peek,
  trace,
  purge,
  redrive,
  replay,
  forget,
  doctor,
  'store check': storeCheck,
  'store repair': storeRepair,
  'store compact': storeCompact,
  'store restored': storeRestored,
}
