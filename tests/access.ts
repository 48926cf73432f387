// Who may use what: the matrix of operations and callers. `gates` has a line for each operation, `verdicts` says what
// each caller meets at a gate. roles_test.ts holds the server against it, fuzz_test.ts every request it makes up.

/** The gate that an operation stands behind. */
export const gates: Readonly<Record<string, Gate>> = {
  register: "anyone",
  verifyOtp: "anyone",
  resendOtp: "anyone",
  login: "anyone",
  refreshTokens: "anyone",
  verifyToken: "anyone",
  logout: "signed in",
  listSessions: "signed in",
  endSession: "signed in",
  endOtherSessions: "signed in",
  requestPasswordReset: "anyone",
  verifyPasswordResetOtp: "anyone",
  confirmPasswordReset: "anyone",
  changePassword: "signed in",
  readMe: "signed in",
  updateMe: "signed in",
  requestEmailChange: "signed in",
  confirmEmailChange: "signed in",
  exportMe: "signed in",
  requestAccountDeletion: "signed in",
  confirmAccountDeletion: "signed in",
  listNotes: "signed in",
  createNote: "signed in",
  readNote: "signed in",
  updateNote: "signed in",
  deleteNote: "signed in",
  listUsers: "admin",
  readUser: "admin",
  updateUser: "admin",
  deleteUser: "admin",
  endUserSessions: "admin",
  readSignInReport: "admin",
  listMails: "admin",
  retryMail: "admin",
  listAuditEvents: "admin",
  readHealth: "anyone",
  readReadiness: "anyone",
  readKeys: "anyone",
  readDocument: "anyone",
  readDocs: "anyone",
  readProblem: "anyone",
  readMetrics: "operator",
  readMailbox: "anyone",
};

/** Whoever sends a request, by what their token is worth now. */
export type Caller = keyof typeof verdicts[Gate];

export type Gate = keyof typeof verdicts;

export type Verdict = typeof verdicts[Gate][Caller];

/**
 * `passes`, or the code of the refusal. A token that is worth nothing is no hindrance where none is due. Operators have
 * the token of the metrics, which opens nothing else.
 */
export const verdicts = {
  "anyone": {
    "anonymous": "passes",
    "junk token": "passes",
    "expired token": "passes",
    "signed out": "passes",
    "deleted user": "passes",
    "disabled user": "passes",
    "disabled admin": "passes",
    "demoted admin": "passes",
    "operator": "passes",
    "user": "passes",
    "admin": "passes",
  },
  "signed in": {
    "anonymous": "token_missing",
    "junk token": "token_invalid",
    "expired token": "token_invalid",
    "signed out": "token_invalid",
    "deleted user": "token_invalid",
    "disabled user": "account_disabled",
    "disabled admin": "account_disabled",
    "demoted admin": "token_invalid",
    "operator": "token_invalid",
    "user": "passes",
    "admin": "passes",
  },
  "admin": {
    "anonymous": "token_missing",
    "junk token": "token_invalid",
    "expired token": "token_invalid",
    "signed out": "token_invalid",
    "deleted user": "token_invalid",
    "disabled user": "account_disabled",
    "disabled admin": "account_disabled",
    "demoted admin": "token_invalid",
    "operator": "token_invalid",
    "user": "role_insufficient",
    "admin": "passes",
  },
  "operator": {
    "anonymous": "token_missing",
    "junk token": "token_invalid",
    "expired token": "token_invalid",
    "signed out": "token_invalid",
    "deleted user": "token_invalid",
    "disabled user": "token_invalid",
    "disabled admin": "token_invalid",
    "demoted admin": "token_invalid",
    "operator": "passes",
    "user": "token_invalid",
    "admin": "token_invalid",
  },
} as const;

/** What `gates` says of an operation. Fails when it says nothing. */
export function gateOf(operationId: string): Gate {
  const gate = gates[operationId];
  if (!gate) throw new Error(`tests/access.ts has no gate for ${operationId}`);
  return gate;
}
