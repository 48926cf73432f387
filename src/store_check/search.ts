// What admins search by: both indexes hold what is true of each user, and nothing else.

import { keys, type UserRecord } from "../store/keys.ts";
import { expectAt, part, type Rule, ruleFor, standsAt } from "./expectation.ts";

const userRule = ruleFor(keys.users(), ({ value: user }) => [
  ...textsOf(user).map(([what, text]) =>
    expectAt(keys.userByText(text, user.id), (id) => id === user.id, `is not found by searching its ${what}`)
  ),
  expectAt(
    keys.userByFacets(user),
    (id) => id === user.id,
    "is not found by searching its role, status and plan",
  ),
]);

const textRule = ruleFor(keys.usersByText(), (record) => [
  standsAt(record, keys.userByText(part(record, 1), record.value)),
  expectAt(
    keys.user(record.value),
    (user) => user !== null && textsOf(user).some(([, text]) => text === part(record, 1)),
    "leads to no account of that address or username",
  ),
]);

/** Which facets does not matter to the first part of the key. */
const ANY = { role: "user", status: "active", plan: "free" } as const;

const facetRule = ruleFor(keys.usersByFacets(ANY), (record) => [
  expectAt(
    keys.user(record.value),
    (user) => user !== null && standsAt(record, keys.userByFacets(user)).isMet([]),
    "leads to no account of that role, status and plan",
  ),
]);

function textsOf({ email, username }: UserRecord): [what: string, text: string][] {
  return username === null
    ? [["address", email]]
    : [["address", email], ["username", username.toLowerCase()]];
}

export const searchRules: readonly Rule[] = [userRule, textRule, facetRule];
