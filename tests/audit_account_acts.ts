// The trail of what people do to their accounts, and admins to those of others.

import assert from "node:assert/strict";
import {
  confirmAccountDeletion,
  confirmEmailChange,
  exportMe,
  requestAccountDeletion,
  requestEmailChange,
  updateMe,
} from "../openapi/account.ts";
import { retryMail } from "../openapi/mails.ts";
import {
  changePassword,
  confirmPasswordReset,
  requestPasswordReset,
  verifyPasswordResetOtp,
} from "../openapi/passwords.ts";
import { deleteUser, endUserSessions, updateUser } from "../openapi/users.ts";
import { addMail } from "../src/store/mails.ts";
import { buryMail, claimMail, collectDueMails } from "../src/store/mail_claims.ts";
import {
  type Act,
  beginDeletion,
  beginEmailChange,
  beginReset,
  byAdmin,
  byAnyone,
  byOwner,
  failed,
  mailed,
  NEW_EMAIL,
  NEW_PASSWORD,
  ONE_MAIL,
  type Plan,
  plan,
  STRANGER,
  type Told,
  wrong,
  WRONG_PASSWORD,
} from "./audit_acts.ts";
import type { Scene } from "./audit_scene.ts";
import { type CallInput, MINUTE_MS, PASSWORD, UNKNOWN_ID } from "./harness.ts";
import { takeResetToken } from "./person.ts";

const passwords: readonly Act[] = [
  {
    name: "a password reset",
    status: 202,
    plan: (scene) =>
      plan(requestPasswordReset, { json: { email: scene.ada.email } }, async () => [
        byAnyone("code_sent", scene.ada.id, {
          details: { purpose: "password_reset", mail_id: await mailed(scene, "password_reset_code") },
        }),
      ]),
  },
  {
    name: "a password reset of an unknown address",
    status: 202,
    plan: () =>
      plan(requestPasswordReset, { json: { email: STRANGER } }, [
        byAnyone("code_withheld", null, failed("password_reset", "no_recipient")),
      ]),
  },
  {
    name: "a password reset beyond the mails of an account",
    status: 202,
    env: ONE_MAIL,
    plan: ({ ada }) =>
      plan(requestPasswordReset, { json: { email: ada.email } }, [
        byAnyone("code_withheld", ada.id, failed("password_reset", "mail_limit")),
      ]),
  },
  {
    name: "the right code of a reset",
    status: 200,
    plan: async (scene) => plan(verifyPasswordResetOtp, { json: await beginReset(scene) }),
  },
  {
    name: "a wrong code of a reset",
    status: 400,
    plan: async (scene) =>
      plan(verifyPasswordResetOtp, { json: wrong(await beginReset(scene)) }, [
        byAnyone("code_failed", scene.ada.id, failed("password_reset")),
      ]),
  },
  {
    name: "a code of a reset that was guessed at too often",
    status: 410,
    plan: async (scene) => {
      const input = { json: wrong(await beginReset(scene)) };
      for (let guesses = 0; guesses < 5; guesses++) await scene.server.call(verifyPasswordResetOtp, input);
      return plan(verifyPasswordResetOtp, input, [
        byAnyone("code_failed", scene.ada.id, failed("password_reset", "expired")),
      ]);
    },
  },
  {
    name: "a new password by a reset",
    status: 204,
    plan: async ({ server, ada }) => {
      const reset_token = await takeResetToken(server, ada.email);
      return plan(confirmPasswordReset, { json: { reset_token, new_password: NEW_PASSWORD } }, [
        byOwner("password_reset", ada),
      ]);
    },
  },
  {
    name: "a new password",
    status: 204,
    plan: ({ ada, ada: { accessToken: token } }) =>
      plan(changePassword, { token, json: { current_password: PASSWORD, new_password: NEW_PASSWORD } }, [
        byOwner("password_changed", ada),
      ]),
  },
  {
    name: "a new password with a wrong current one",
    status: 401,
    plan: ({ ada, ada: { accessToken: token } }) =>
      plan(
        changePassword,
        { token, json: { current_password: WRONG_PASSWORD, new_password: NEW_PASSWORD } },
        [
          byOwner("password_failed", ada, { cause: "password_wrong" }),
        ],
      ),
  },
];

const account: readonly Act[] = [
  {
    name: "another username and name",
    status: 200,
    plan: ({ ada }) =>
      plan(updateMe, { token: ada.accessToken, json: { username: "Countess", name: "Ada Lovelace" } }, [
        byOwner("profile_changed", ada, { details: { members: "username name" } }),
      ]),
  },
  {
    name: "the username that it has",
    status: 200,
    plan: ({ ada }) => plan(updateMe, { token: ada.accessToken, json: { username: "ada" } }),
  },
  {
    name: "an export",
    status: 200,
    plan: ({ ada }) => plan(exportMe, { token: ada.accessToken }, [byOwner("data_exported", ada)]),
  },
  {
    name: "another address",
    status: 202,
    plan: (scene) =>
      plan(
        requestEmailChange,
        {
          token: scene.ada.accessToken,
          json: { new_email: NEW_EMAIL, current_password: PASSWORD },
        },
        async () => [
          byOwner("code_sent", scene.ada, {
            details: { purpose: "email_change", mail_id: await mailed(scene, "email_change_code") },
          }),
        ],
      ),
  },
  {
    name: "another address with a wrong password",
    status: 401,
    plan: ({ ada, ada: { accessToken: token } }) =>
      plan(requestEmailChange, { token, json: { new_email: NEW_EMAIL, current_password: WRONG_PASSWORD } }, [
        byOwner("password_failed", ada, { cause: "password_wrong" }),
      ]),
  },
  {
    name: "an address that somebody else has",
    status: 202,
    plan: ({ admin, ada, ada: { accessToken: token } }) =>
      plan(requestEmailChange, { token, json: { new_email: admin.email, current_password: PASSWORD } }, [
        byOwner("code_withheld", ada, failed("email_change", "no_recipient")),
      ]),
  },
  {
    name: "the right code of another address",
    status: 200,
    plan: async (scene) =>
      plan(confirmEmailChange, { token: scene.ada.accessToken, json: await beginEmailChange(scene) }, [
        byOwner("email_changed", scene.ada),
      ]),
  },
  {
    name: "a wrong code of another address",
    status: 400,
    plan: async (scene) =>
      plan(confirmEmailChange, { token: scene.ada.accessToken, json: wrong(await beginEmailChange(scene)) }, [
        byOwner("code_failed", scene.ada, failed("email_change")),
      ]),
  },
  {
    name: "a deletion",
    status: 202,
    plan: (scene) =>
      plan(requestAccountDeletion, { token: scene.ada.accessToken }, async () => [
        byOwner("code_sent", scene.ada, {
          details: { purpose: "account_deletion", mail_id: await mailed(scene, "account_deletion_code") },
        }),
      ]),
  },
  {
    name: "a wrong code of a deletion",
    status: 400,
    plan: async (scene) =>
      plan(
        confirmAccountDeletion,
        { token: scene.ada.accessToken, json: wrong(await beginDeletion(scene)) },
        [
          byOwner("code_failed", scene.ada, failed("account_deletion")),
        ],
      ),
  },
  {
    name: "the right code of a deletion",
    status: 204,
    plan: async (scene) =>
      plan(confirmAccountDeletion, { token: scene.ada.accessToken, json: await beginDeletion(scene) }, [
        byOwner("account_deleted", scene.ada, { isWiped: true }),
      ]),
  },
];

function onAda({ admin, ada }: Scene): CallInput {
  return { token: admin.accessToken, params: { user_id: ada.id } };
}

function update(scene: Scene, json: unknown, told: readonly Told[]): Plan {
  return plan(updateUser, { ...onAda(scene), json }, told);
}

const administration: readonly Act[] = [
  {
    name: "role, status and plan by an admin",
    status: 200,
    plan: (scene) =>
      update(scene, { plan: "premium", status: "disabled", role: "admin" }, [
        byAdmin("role_changed", scene, { details: { from: "user", to: "admin" } }),
        byAdmin("status_changed", scene, { details: { from: "active", to: "disabled" } }),
        byAdmin("plan_changed", scene, { details: { from: "free", to: "premium" } }),
      ]),
  },
  {
    name: "another plan by an admin",
    status: 200,
    plan: (scene) =>
      update(scene, { plan: "premium", role: "user" }, [
        byAdmin("plan_changed", scene, { details: { from: "free", to: "premium" } }),
      ]),
  },
  {
    name: "what is so already by an admin",
    status: 200,
    plan: (scene) => update(scene, { plan: "free", role: "user", status: "active" }, []),
  },
  {
    name: "the end of an account's sessions by an admin",
    status: 204,
    plan: (scene) =>
      plan(endUserSessions, onAda(scene), [
        byAdmin("sessions_ended", scene),
      ]),
  },
  {
    name: "the end of an account by an admin",
    status: 204,
    plan: (scene) =>
      plan(deleteUser, onAda(scene), [
        // From where it was done is the admin's, who is still there.
        byAdmin("account_deleted", scene),
      ]),
  },
  {
    name: "the end of an account that is not there by an admin",
    status: 404,
    plan: ({ admin }) => plan(deleteUser, { token: admin.accessToken, params: { user_id: UNKNOWN_ID } }),
  },
  {
    name: "a dead mail once more by an admin",
    status: 202,
    plan: async (scene) => {
      const mail_id = await buryNotice(scene);
      return plan(retryMail, { token: scene.admin.accessToken, params: { mail_id } }, [
        byAdmin("mail_retried", scene, { details: { mail_id } }),
      ]);
    },
  },
  {
    name: "what only an admin may by somebody else",
    status: 403,
    plan: ({ ada }) => plan(deleteUser, { token: ada.accessToken, params: { user_id: ada.id } }),
  },
];

/** A notice that no mail server took. */
async function buryNotice({ server: { kv, deps }, ada: { id: userId, email: to } }: Scene): Promise<string> {
  const change = kv.change();
  const content = { kind: "password_changed", atMs: deps.nowMs(), ip: "192.0.2.1", device: null } as const;
  const mailId = addMail(deps, change, { to, userId, content });
  assert(await change.commit());
  const due = (await collectDueMails(kv, 10)).find((due) => due.mailId === mailId) ?? assert.fail();
  const claimed = await claimMail(kv, due, { leaseMs: MINUTE_MS });
  assert(claimed && await buryMail(kv, claimed, "550 No such mailbox"));
  return mailId;
}

/** Such as leave no event are among them. */
export const accountActs: readonly Act[] = [...passwords, ...account, ...administration];
