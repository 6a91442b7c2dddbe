import { declareFaults } from '#protocol/base/mod.ts'

export const agentFault = declareFaults('agent', {
  AGENT_NOT_ENROLLED: {
    meaning: 'the agent has no identity yet',
    remedy:
      'Get a token from the hub (causeway-hub invite NAME), then: causeway-agent enroll --data FOLDER --token TOKEN',
  },
  AGENT_RUNNING: {
    meaning: 'an agent is running with this identity, and the hub lets each identity connect once',
    remedy: 'Stop it first, or enrol another agent for the command line: causeway-hub invite NAME',
  },
  AGENT_NOT_RUNNING: {
    meaning: 'no agent runs on this data folder',
    remedy: 'Start it, or name the folder of the one you mean: causeway-agent start --data FOLDER',
  },
  STATUS_UNWRITABLE: {
    meaning: 'status.json cannot be written, so that status and monitors see nothing new',
    remedy: 'Free disk space and check the rights of the data folder; the flows go on meanwhile',
  },
  FLOW_FILE_UNREADABLE: { meaning: 'a flow file cannot be read', remedy: 'Check the path and its rights' },
  FLOW_NAME_TWICE: {
    meaning: 'two flow files give the same name',
    remedy: 'Give each flow a name of its own',
  },
  FLOW_CASES_FAILED: {
    meaning: 'the flow does not do what its cases expect, and was not started',
    remedy: 'See causeway-agent flow test FILE; correct the channels or the cases, and start it again',
  },
  FLOWS_MISSING: {
    meaning: 'there is no flow to run',
    remedy: 'Put a flow file into the flows folder; README shows one of ten lines',
  },
  COMPONENT_UNKNOWN: {
    meaning: 'there is no such component',
    remedy: 'Check the flow with causeway-agent flow lint FILE',
  },
  FLOW_ROWS_OR_FILES: {
    meaning: 'the source of the flow gives what its destination does not take',
    remedy: 'Set `format: file` at both, or at neither; a database takes rows only',
  },
  MESSAGES_IN_THE_WAY: {
    meaning: 'the queue has so many messages without files that those with files do not get through',
    remedy: 'Take them out with causeway-agent receive, or give files a queue or topic of their own',
  },
  FILES_NONE: {
    meaning: 'no file is there to be sent',
    remedy: 'Check the pattern, or the folder',
  },
  FILES_TOO_MANY: {
    meaning: 'these are more files than one command sends',
    remedy: 'Let a flow send them (source `directory` with `format: file`), or give a part of them at a time',
  },
  TRANSFER_NOT_FOUND: {
    meaning: 'nothing of that id or name is sent or received here at present',
    remedy: 'See causeway-agent status --data FOLDER; give the id where several have one name',
  },
  TRANSFER_ARRIVED: {
    meaning: 'the file had arrived before it could be given up',
    remedy: 'Take it back where it has arrived; what the hub has goes by causeway-hub contents remove ID',
  },
  WISH_NOT_FOLLOWED: {
    meaning: 'the program that moves the file has not followed yet; it will as soon as it looks',
    remedy:
      'See causeway-agent status --data FOLDER; a program of an earlier version follows after it was started anew',
  },
  RECEIVE_SOURCE_UNCLEAR: {
    meaning: 'it must be said from where to receive',
    remedy: 'Give either --queue or --topic or --inbox',
  },
  RECEIVE_NAME_MISSING: {
    meaning: 'only a subscription with a name retains messages',
    remedy: 'Give --name and --topic with --retain and --replay',
  },
  INPUT_EMPTY: { meaning: 'there is nothing to send', remedy: 'Give --body, or lines on standard input' },
})
