// Accounts and what leads to them. Each index is looked at from both ends: a user who is not found, and an entry that
// leads to somebody else.

import { hashEmail, keys } from "../store/keys.ts";
import {
  expectAt,
  expectThat,
  isMissing,
  isThere,
  part,
  type Rule,
  ruleFor,
  standsAt,
} from "./expectation.ts";

const userRule = ruleFor(keys.users(), (record) => {
  const { id, email, username } = record.value;
  return [
    standsAt(record, keys.user(id)),
    expectAt(keys.userIdByEmail(hashEmail(email)), (userId) => userId === id, "is not found by its address"),
    expectAt(keys.credential(id), isThere, "has no password"),
    ...(username === null ? [] : [
      expectAt(
        keys.username(username.toLowerCase()),
        (name) => name?.owner === "user" && name.userId === id,
        "does not own its username",
      ),
    ]),
  ];
});

const emailRule = ruleFor(keys.userIdByEmail(""), (record) => [
  expectAt(
    keys.user(record.value),
    (user) => user !== null && hashEmail(user.email) === part(record, 1),
    "leads to no account of that address",
  ),
]);

const usernameRule = ruleFor(keys.username(""), (record) => {
  const { value } = record;
  if (value.owner === "user") {
    return [
      expectAt(
        keys.user(value.userId),
        (user) => user?.username?.toLowerCase() === part(record, 1),
        "leads to no account of that username",
      ),
    ];
  }
  return [
    expectThat(value.owner === "registration", "is neither an account's nor a registration's"),
    expectAt(
      keys.challenge(value.challengeHash),
      (challenge) => challenge?.purpose === "registration" && challenge.expiresAtMs === value.expiresAtMs,
      "is reserved by no registration",
    ),
  ];
});

/** It goes in the very commit that removes its user. */
const credentialRule = ruleFor(keys.credential(""), (record) => [
  expectThat(typeof record.value.passwordHash === "string", "has no hash"),
  expectAt(keys.user(part(record, 1)), isThere, "belongs to nobody"),
]);

/** What is cleared away with it would be somebody's who is there. */
const tombstoneRule = ruleFor(keys.tombstones(), (record) => [
  standsAt(record, keys.tombstone(record.value.userId)),
  expectAt(keys.user(record.value.userId), isMissing, "is that of an account that is there"),
]);

export const accountRules: readonly Rule[] = [
  userRule,
  emailRule,
  usernameRule,
  credentialRule,
  tombstoneRule,
];
