import { declareFaults } from '#protocol/base/mod.ts'

export const rulesFault = declareFaults('router', {
  RULES_FILE_UNREADABLE: {
    meaning: 'the rule file, or a file it names, cannot be read',
    remedy: 'Check its path and its rights; relative paths start at the folder of the rule file',
  },
  RULES_FILE_TOO_LARGE: {
    meaning: 'the file is larger than is taken',
    remedy: 'Write rules as JSON (up to 64 MiB), and put what is large into files of their own (16 MiB each)',
  },
  RULE_NAME_TWICE: {
    meaning: 'two rules, pipelines or cases have one name',
    remedy: 'Give each a name of its own: it stands in traces',
  },
  RULE_PIPELINE_UNKNOWN: {
    meaning: 'the rule names a pipeline that the set does not have',
    remedy: 'Add it under `pipelines`, or correct the name',
  },
  RULE_QUEUE_UNKNOWN: {
    meaning: 'the hub has no queue of this name',
    remedy: 'Add it to hub.yaml, or correct the name',
  },
  RULE_TOPIC_UNUSED: {
    meaning: '`topic` is for what a pipeline makes, and the rule has none',
    remedy: 'Remove `topic`, or name a `pipeline`',
  },
  RULE_TOPIC_INVALID: {
    meaning: 'the topic for what the pipeline makes is none',
    remedy: 'Write levels joined by "/"; {topic} is the topic it had, {name} the header of that name',
  },
  RULES_TOO_MANY: {
    meaning: 'the set has more of something than is taken',
    remedy: 'Use + and # instead of listing topics, and headers instead of conditions on content',
  },
  RULE_RANGE_EMPTY: {
    meaning: 'no number is above the one and below the other',
    remedy: 'Exchange `above` and `below`, or widen them: neither includes its number',
  },
  RULE_UNREACHABLE: {
    meaning: 'a rule before this one takes all of its messages',
    remedy: 'Move it before that rule, or remove it',
  },
  RULE_REPEATED: {
    meaning: 'the rule does what another rule does',
    remedy: 'Remove one of the two',
  },
  RULE_PIPELINE_UNUSED: {
    meaning: 'no rule uses this pipeline',
    remedy: 'Remove it, or name it in a rule',
  },
  RULES_TEXT_DAMAGED: {
    meaning: 'a stored rule set cannot be read',
    remedy: 'Deploy the rule file again',
  },
  RULE_CASE_FAILED: {
    meaning: 'a case of the rules does not come out as it says',
    remedy: 'Correct the rules or the case; causeway-hub route test tells all of it',
  },
  CASE_INPUT_UNCLEAR: {
    meaning: 'it is unclear what the message holds',
    remedy: 'Give one of body, json, base64 and file',
  },
})
