// Guards around who counts: every request for its network or account, and no client for another one.

import type { Guard } from "./guard.ts";

const NETWORK = "src/network.ts";

export const limited: readonly Guard[] = [
  {
    name: "sign-ins are limited by network",
    file: "src/routes/sessions.ts",
    find: 'admitAnyone(deps, byNetwork("login"), byLoginAccount)',
    put: "admitAnyone(deps, byLoginAccount)",
    red: ["limits_http_test.ts", "limit login by network: 5/1m, an honest wait, and a refusal costs nothing"],
  },
  {
    name: "sign-ins are limited by account, from however many networks",
    file: "src/routes/sessions.ts",
    find: 'admitAnyone(deps, byNetwork("login"), byLoginAccount)',
    put: 'admitAnyone(deps, byNetwork("login"))',
    red: ["limits_http_test.ts", "limit login by account: 5/1m, an honest wait, and a refusal costs nothing"],
  },
  {
    name: "an attack from elsewhere does not keep the owner out of where they signed in before",
    file: "src/rate_limit.ts",
    find: "isKnown ? networkHash : null",
    put: "null",
    red: [
      "login_limits_test.ts",
      "login: an attack from 200 networks never keeps the owner out where they signed in before",
    ],
  },
  {
    name: "networks that the owner never used share one count",
    file: "src/rate_limit.ts",
    find: "isKnown ? networkHash : null",
    put: "networkHash",
    red: [
      "login_limits_test.ts",
      "login: each known network has a count of its own, and so has everywhere else together",
    ],
  },
  {
    name: "registrations are limited by network",
    file: "src/routes/registration.ts",
    find: 'admitAnyone(deps, byNetwork("register"))',
    put: "admitAnyone(deps)",
    red: [
      "limits_http_test.ts",
      "limit register by network: 3/1m, an honest wait, and a refusal costs nothing",
    ],
  },
  {
    name: "guesses at codes are limited by network",
    file: "src/routes/registration.ts",
    find: 'admitAnyone(deps, byNetwork("otp"), byChallenge("otp"))',
    put: 'admitAnyone(deps, byChallenge("otp"))',
    red: ["limits_http_test.ts", "verifyOtp: guesses are limited by network, and by challenge"],
  },
  {
    name: "guesses at codes are limited by challenge, from however many networks",
    file: "src/routes/registration.ts",
    find: 'admitAnyone(deps, byNetwork("otp"), byChallenge("otp"))',
    put: 'admitAnyone(deps, byNetwork("otp"))',
    red: ["limits_http_test.ts", "verifyOtp: guesses are limited by network, and by challenge"],
  },
  {
    name: "guesses at codes of a reset are limited by network and challenge",
    file: "src/routes/passwords.ts",
    find: 'admitAnyone(deps, byNetwork("otp"), byChallenge("otp"))',
    put: "admitAnyone(deps)",
    red: ["limits_http_test.ts", "verifyPasswordResetOtp: guesses are limited by network, and by challenge"],
  },
  {
    name: "guesses at codes of a change or a deletion are limited by network and challenge",
    file: "src/routes/account.ts",
    find: 'requireUser(deps, byNetwork("otp"), byChallenge("otp"))',
    put: "requireUser(deps)",
    red: ["limits_http_test.ts", "confirmAccountDeletion: guesses are limited by network, and by challenge"],
  },
  {
    name: "requests for a reset are limited by address",
    file: "src/routes/passwords.ts",
    find: 'admitAnyone(deps, byNetwork("password_reset"), byAddress("password_reset"))',
    put: 'admitAnyone(deps, byNetwork("password_reset"))',
    red: [
      "limits_http_test.ts",
      "limit password_reset by address: 3/1h, an honest wait, and a refusal costs nothing",
    ],
  },
  {
    name: "guesses at the current password are limited by account",
    file: "src/routes/account.ts",
    find: 'requireUser(deps, byUser("password"))',
    put: "requireUser(deps)",
    red: [
      "email_change_test.ts",
      "requestEmailChange: a wrong password is refused, five times a minute, whatever it is for",
    ],
  },
  {
    name: "every request under /api is counted, for its network or its user",
    file: "src/gate.ts",
    find: "announceLimits(c, await deps.limits.admit(subjects, client));",
    put: "announceLimits(c, await deps.limits.admit(subjects.slice(1), client));",
    red: [
      "limits_http_test.ts",
      "limit anonymous by network: 100/1d, an honest wait, and a refusal costs nothing",
    ],
  },
  {
    name: "limits are asked before a body is found fault with",
    file: "src/gate.ts",
    find: 'await applyLimits(c, deps, { client: c.get("client"), userId, body, rules });',
    put:
      'if (body.fault) throw body.fault;\n    await applyLimits(c, deps, { client: c.get("client"), userId, body, rules });',
    red: ["http_test.ts", "http: refusals come in the order of the contract"],
  },
  {
    name: "without a trusted proxy nothing that a client writes is its address",
    file: NETWORK,
    find: "trustedProxyHops > 0 ? entries.at(-trustedProxyHops) : undefined",
    put: "entries.at(-1)",
    red: ["network_test.ts", "client address: no proxy trusted, header ignored: 198.51.100.7"],
  },
  {
    name: "behind a proxy the entry that it added counts, not what stands left of it",
    file: NETWORK,
    find: "entries.at(-trustedProxyHops)",
    put: "entries.at(0)",
    red: [
      "login_limits_test.ts",
      "login: behind a trusted proxy the entry that it added counts, and nothing that a client can write",
    ],
  },
  {
    name: "all addresses of an IPv6 /64 are one network",
    file: NETWORK,
    find: "index < NETWORK_GROUPS ? group : 0",
    put: "group",
    red: ["login_limits_test.ts", "login: which addresses are one network"],
  },
  {
    name: "an IPv4 address within an IPv6 one is that IPv4 address",
    file: NETWORK,
    find: "return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;",
    put: "return address;",
    red: ["login_limits_test.ts", "login: which addresses are one network"],
  },
  {
    name: "an address in digits that two readers could read differently is none",
    file: NETWORK,
    find: "if (ipaddr.IPv4.isValidFourPartDecimal(text)) return",
    put: "if (ipaddr.IPv4.isValid(text)) return",
    red: ["network_test.ts", "client address: entry with octal digits: 198.51.100.7"],
  },
];
