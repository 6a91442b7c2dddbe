// What can go wrong with the hub's identity, its invitations and its agents.

import { declareFaults } from '#protocol/base/mod.ts'

export const securityFault = declareFaults('security', {
  AUTHORITY_EXISTS: {
    meaning: 'this hub already has its authority',
    remedy: 'Use it; to start over, move the security folder away first: every agent must then enrol again',
  },
  AUTHORITY_MISSING: {
    meaning: 'this hub has no authority yet',
    remedy: 'Run causeway-hub init, or correct the data folder',
  },
  AUTHORITY_INVALID: {
    meaning: "the hub's keys and certificates do not fit together",
    remedy: 'Restore the security folder from one backup',
  },
  AUTHORITY_SETTING: {
    meaning: "a setting of the hub's identity is not valid",
    remedy: 'Correct the value named here',
  },
  KEY_EXPOSED: {
    meaning: 'a private key can be read by other users of this machine',
    remedy: 'Run chmod 600 on the file, and consider whether the key must be replaced',
  },
  INVITATION_SETTING: {
    meaning: 'an invitation cannot be made like this',
    remedy: 'Correct the value named here',
  },
  INVITATIONS_FULL: {
    meaning: 'too many invitations are open',
    remedy: 'Wait until some are used or expire, or remove files from security/invitations',
  },
  TOKEN_UNKNOWN: {
    meaning: 'this hub did not make that enrolment token, or forgot it long after it expired',
    remedy: 'Check the address of the hub, or ask its administrator for a new token',
  },
  TOKEN_USED: {
    meaning: 'the enrolment token was already used with another key',
    remedy: 'Ask for a new token; if nobody you know used this one, have the agent revoked',
  },
  TOKEN_EXPIRED: {
    meaning: 'the enrolment token has expired',
    remedy: "Ask the hub's administrator for a new token",
  },
  TOKEN_WRONG_AGENT: {
    meaning: 'the enrolment token was made for an agent of another name',
    remedy: 'Enrol under the name the token was made for, or ask for a token for this name',
  },
  TOKEN_SUPERSEDED: {
    meaning: 'the agent has since enrolled with a later token',
    remedy: 'Use the identity made with the later token, or ask for a new one',
  },
  AGENT_UNKNOWN: {
    meaning: 'this hub does not know the agent',
    remedy: "Enrol the agent with a token; after a restore, restore the hub's security folder too",
  },
  AGENT_REVOKED: {
    meaning: 'the agent was revoked',
    remedy: "Ask the hub's administrator; a new invitation admits it again",
  },
  AGENT_SUPERSEDED: {
    meaning: 'the agent has since enrolled with another key',
    remedy: 'Use the newer identity; if this machine should be the agent, enrol it again',
  },
  AGENT_RECORD_INVALID: {
    meaning: 'a record in the security folder cannot be read',
    remedy: 'Restore the file named here from a backup, or remove it and enrol the agent again',
  },
  GROUP_NAME_INVALID: {
    meaning: 'this is no name of a group',
    remedy: 'Use 1 to 64 letters (no capitals) and digits of any script, "_", "-" and "."',
  },
  GROUPS_FULL: {
    meaning: 'the agent belongs to as many groups as it can',
    remedy: 'Remove it from another group first: causeway-hub groups remove GROUP AGENT',
  },
  AGENTS_FULL: {
    meaning: 'this hub knows as many agents as it can',
    remedy: 'Remove records of revoked agents from security/agents',
  },
  LINK_INVALID: {
    meaning: 'this address is not one that the hub made, or not for this',
    remedy: 'Copy the whole address, or ask whoever gave it to you for a new one',
  },
  LINK_EXPIRED: {
    meaning: 'the link has expired',
    remedy: 'Ask whoever gave it to you for a new one',
  },
  LINK_REVOKED: {
    meaning: 'the link was revoked',
    remedy: 'Ask whoever gave it to you',
  },
  LINK_SETTING: {
    meaning: 'a link cannot be made or named like this',
    remedy: 'Correct the value named here',
  },
  LINKS_FULL: {
    meaning: 'as many links are good as can be listed',
    remedy: 'Wait until some have expired, or make links for more than one file; revoked ones count until they expire',
  },
  LINKS_REVOKED_FULL: {
    meaning: 'as many links are revoked as can be listed',
    remedy: 'Remove security/links.key and restart the hub: that ends all links; then make new ones',
  },
})
