// Guards around the store: what has expired, what is committed how often, how long a call may take, and which file is
// a store of ours.

import type { Guard } from "./guard.ts";

const KV = "src/store/kv.ts";
const CALL = "src/store/call.ts";
const RECEIPTS = "src/store/receipts.ts";
const OPEN = "src/store/open.ts";
const SCHEMA = "src/store/schema.ts";

export const store: readonly Guard[] = [
  {
    name: "a record that has expired is not there, though Deno KV still gives it",
    file: KV,
    find: "return expiresAtMs === null || nowMs < expiresAtMs;",
    put: "return expiresAtMs === null || nowMs < Infinity;",
    red: [
      "store_kv_test.ts",
      "kv: what has ended is not there, on the millisecond, though Deno KV still has it",
    ],
  },
  {
    name: "records that expire are swept from the store",
    file: KV,
    find: "const options = expiresAtMs === null ? {} : {",
    put: "const options = expiresAtMs !== Infinity ? {} : {",
    red: [
      "store_growth_test.ts",
      "growth: what strangers leave has an end, and after that the store is as large as before",
    ],
  },
  {
    name: "a commit that lost its race is read as lost",
    file: KV,
    find: "(await operation.commit()).ok;",
    put: "(await operation.commit()) !== null;",
    red: ["registration_test.ts", "verifyOtp: of 1000 parallel wrong guesses five are compared"],
  },
  {
    name: "others are told of a commit only when it has happened",
    file: KV,
    find: "if (isCommitted) { for",
    put: "{ for",
    red: [
      "store_kv_test.ts",
      "kv: what follows a commit is done once it has happened, and not when it lost its race",
    ],
  },
  {
    name: "no commit has more checks than the smallest backend takes",
    file: KV,
    find: "if (checks.length > CHECKS_MAX) throw",
    put: "if (checks.length < 0) throw",
    red: ["store_kv_test.ts", "kv: what not every backend takes is refused before anything is written"],
  },
  {
    name: "who loses every race is refused in the end",
    file: KV,
    find: 'throw new StoreUnavailable("Too many writers wanted the same record");',
    put: "return await attempt() as Result;",
    red: ["store_kv_test.ts", "kv: who loses every race is refused in the end, and admitted by none"],
  },
  {
    name: "a call that the store does not answer is given up after five seconds",
    file: CALL,
    find: "const DEADLINE_MS = 5_000;",
    put: "const DEADLINE_MS = 50_000;",
    red: [
      "store_network_test.ts",
      "network: a silent store is given up in time, is asked little, and counts again once it answers",
    ],
  },
  {
    name: "a store that is silent is asked little",
    file: CALL,
    find: "if (isSilent && startedAtMs - askedAtMs < SCOUT_INTERVAL_MS) {",
    put: "if (startedAtMs < 0) {",
    red: [
      "store_network_test.ts",
      "network: a silent store is given up in time, is asked little, and counts again once it answers",
    ],
  },
  {
    name: "a store that is away is no fault of ours: 503, and the client may try again",
    file: "src/problem.ts",
    find: "error instanceof HashQueueFull || error instanceof StoreUnavailable ||",
    put: "error instanceof HashQueueFull ||",
    red: [
      "http_test.ts",
      "http: a store that does not answer is a 503 with Retry-After, and nothing is stuck",
    ],
  },
  {
    name: "a disk that is full is 503, and reads go on",
    file: "src/problem.ts",
    find: " || isDiskFault(error)) {",
    put: ") {",
    red: [
      "e2e_disk_test.ts",
      "disk: while it is full writes are refused with 503 and reads go on; with room again nothing is lost",
    ],
  },
  {
    name: "a commit whose answer got lost is not done twice",
    file: RECEIPTS,
    find: "operation.check({ key: path, versionstamp })\n      .set(",
    put: "operation\n      .set(",
    red: [
      "store_network_test.ts",
      "network: a commit that checks nothing is not done again over what came after it",
    ],
  },
  {
    name: "a commit whose answer got lost is known to have happened",
    file: RECEIPTS,
    find: "return receipt.value?.number === number;",
    put: "return receipt.value?.number === -1;",
    red: ["store_network_test.ts", "network: a commit whose answer got lost has happened, and says so"],
  },
  {
    name: "a second server on the same file is told so, and ends",
    file: OPEN,
    find: "return isLocked ? file : null;",
    put: "return file;",
    red: ["e2e_start_test.ts", "start: a setting that does not work ends it with status 1 and one line"],
  },
  {
    name: "nothing starts empty where there was a store",
    file: OPEN,
    find: "if (isMarked && await sizeOf(path) <= 0) {",
    put: "if (path === '') {",
    red: ["e2e_start_test.ts", "start: a store that vanished or is empty is not silently made anew"],
  },
  {
    name: "another store in the place of ours is not taken for it",
    file: "src/main.ts",
    find: "if (isMarked) await requireSameStore(store.db, config.kvPath);",
    put: "",
    red: [
      "e2e_store_file_test.ts",
      "store file: one that is damaged or not the one that was here is refused in one line",
    ],
  },
  {
    name: "a store file that is replaced under a running server ends it",
    file: OPEN,
    find: "({ ino }) => ino === opened || resolve(",
    put: "() => path !== '' || resolve(",
    red: [
      "e2e_store_file_test.ts",
      "store file: one that is replaced while the server runs ends it within seconds",
    ],
  },
  {
    name: "a store file that is removed under a running server ends it",
    file: OPEN,
    find: "error instanceof Deno.errors.NotFound &&\n        resolve(",
    put: "error instanceof Deno.errors.AddrInUse &&\n        resolve(",
    red: ["e2e_start_test.ts", "start: a store that is removed while it runs ends the server within seconds"],
  },
  {
    name: "a store that cannot be read is found out when it is opened",
    file: OPEN,
    find: "    await createKv(db, () => 0).find(keys.store());\n    return db;",
    put: "    return db;",
    red: [
      "e2e_network_test.ts",
      "network: a store that says that its data is elsewhere is not followed there",
    ],
  },
  {
    name: "the store file is for its owner only",
    file: OPEN,
    find: "(await Deno.open(path, { write: true, create: true, mode: 0o600 })).close();",
    put: "(await Deno.open(path, { write: true, create: true, mode: 0o644 })).close();",
    red: ["e2e_start_test.ts", "start: a fresh copy needs no setting, and says where everything is"],
  },
  {
    name: "the folder of the store is for its owner only",
    file: OPEN,
    find: "await Deno.mkdir(folder, { recursive: true, mode: 0o700 });",
    put: "await Deno.mkdir(folder, { recursive: true, mode: 0o755 });",
    red: ["e2e_start_test.ts", "start: a fresh copy needs no setting, and says where everything is"],
  },
  {
    name: "a store of a newer version is refused, and left as it is",
    file: SCHEMA,
    find: "if (marker.schema > schema) {",
    put: "if (marker.schema < 0) {",
    red: ["schema_test.ts", "migrateStore: leaves an empty store alone, and refuses a newer one"],
  },
  {
    name: "of two servers that migrate a store at once none goes back",
    file: SCHEMA,
    find: "await kv.change().check(marker).set(marker.key, record).commit();",
    put: "await kv.change().set(marker.key, record).commit();",
    red: [
      "schema_test.ts",
      "migrateStore: a server that is slower than another one does not put the marker back",
    ],
  },
  {
    name: "another SECRET_KEY than the store's stops the start",
    file: "src/keyring.ts",
    find: "if (!privateJwk) throw new WrongSecretKey(",
    put: 'if (!privateJwk) throw new Error("" + ',
    red: ["e2e_start_test.ts", "start: another SECRET_KEY than the store's is refused"],
  },
];
