// Guards around what is in an account: whose a note is, how many there are, and what a deletion takes along.

import type { Guard } from "./guard.ts";

const USERS = "src/store/users.ts";
const NOTES = "src/store/notes.ts";
const DELETION = "src/store/deletion.ts";

export const belongings: readonly Guard[] = [
  {
    name: "the last active admin is not even mailed a code for a deletion",
    file: "src/routes/account.ts",
    find: 'if (await isLastAdmin(deps.kv, user)) throw new Problem("last_admin");',
    put: "",
    red: [
      "deletion_test.ts",
      "requestAccountDeletion: the last active admin is refused, with the first word",
    ],
  },
  {
    name: "the free plan holds so many notes and no more",
    file: NOTES,
    find: 'if (count >= notesMaxOf(user.value, config.freeNotes)) return { outcome: "full" };',
    put: "",
    red: ["notes_test.ts", "createNote: the free plan holds exactly 20, however many come at once"],
  },
  {
    name: "the free plan holds no more notes, however many come at once",
    file: NOTES,
    find: "      .check(user, held)\n",
    put: "      .check(user)\n",
    red: ["notes_test.ts", "createNote: the free plan holds exactly 20, however many come at once"],
  },
  {
    name: "a plan that changes at the same moment counts for the note",
    file: NOTES,
    find: "      .check(user, held)\n",
    put: "      .check(held)\n",
    red: ["store_notes_test.ts", "insertNote: full, after a downgrade at the same moment"],
  },
  {
    name: "a note that two remove at once counts once",
    file: NOTES,
    find: "kv.change().check(note, held).remove(note.key);",
    put: "kv.change().remove(note.key);",
    red: ["store_notes_test.ts", "removeNote: a note that two remove at the same moment counts once"],
  },
  {
    name: "of two changes to a note at once none is lost",
    file: NOTES,
    find: "kv.change().check(entry).set(entry.key, note)",
    put: "kv.change().set(entry.key, note)",
    red: ["store_notes_test.ts", "replaceNote: of two changes at the same moment none is lost"],
  },
  {
    name: "a note lies under its owner: nobody reads another one's",
    file: "src/store/keys.ts",
    find: 'key<NoteRecord>("notes", userId, noteId)',
    put: 'key<NoteRecord>("notes", "everybody", noteId)',
    red: ["notes_test.ts", "readNote: somebody else's note answers like one that never was, byte for byte"],
  },
  {
    name: "of many who confirm a deletion at once one deletes",
    file: DELETION,
    find: "change.check(user).remove(user.key,",
    put: "change.remove(user.key,",
    // Its event checks the head of the account's chain.
    also: [{ file: "src/store/audit.ts", find: "  change.check(head, ...owners);\n", put: "" }],
    red: ["users_test.ts", "deleteUser: of ten at once one deletes, and one mail leaves"],
  },
  {
    name: "a deletion that has become void deletes nothing",
    file: DELETION,
    find: "if (user?.value.codeEpoch !== codeEpoch) return null;",
    put: "if (user === null) return null;",
    red: [
      "events_test.ts",
      "event password change: each cell of the table is true, at once and after a restart",
    ],
  },
  {
    name: "a deletion takes the password along, in the commit that decides",
    file: DELETION,
    find: "change.check(user).remove(user.key, keys.credential(userId),",
    put: "change.check(user).remove(user.key,",
    red: [
      "deletion_test.ts",
      "requestAccountDeletion, confirmAccountDeletion: everything of the account is gone",
    ],
  },
  {
    name: "a deletion that was cut off is finished by the next server",
    file: "src/jobs.ts",
    find: "    await resumeDeletions(kv);\n",
    put: "",
    red: ["deletion_race_test.ts", "account deletion: the jobs finish however many were cut off"],
  },
  {
    name: "a deletion wipes from where the account was used",
    file: DELETION,
    find: "  await wipeOrigins(kv, userId);\n",
    put: "",
    red: [
      "audit_deletion_test.ts",
      "audit: a deleted account's events stay, without from where; those of admins and strangers keep theirs",
    ],
  },
  {
    name: "a deletion takes along the mails that went to the address",
    file: DELETION,
    find: "  await removeMailsOf(kv, addressHash);\n",
    put: "",
    red: [
      "deletion_remains_test.ts",
      "account deletion: a mail that was on its way is cleared once it has left, and all of the address before",
    ],
  },
  {
    name: "a deletion waits for a mail that is still on its way",
    file: DELETION,
    find: "if (waiting.length === 0) lastStep",
    put: "lastStep",
    red: [
      "deletion_remains_test.ts",
      "account deletion: a mail that was on its way is cleared once it has left, and all of the address before",
    ],
  },
  {
    name: "a code for an account that is deleted at the same moment leaves no record",
    file: "src/store/code_sending.ts",
    find: "  change.check(user);\n",
    put: "",
    // Its event checks the account, too.
    also: [{
      file: "src/store/audit.ts",
      find: "change.check(head, ...owners);",
      put: "change.check(head);",
    }],
    red: [
      "audit_deletion_test.ts",
      "audit: a request for a password reset at the moment of the deletion leaves no trace of from where",
    ],
  },
  {
    name: "nobody is imported under the id of an account that is being cleared away",
    file: USERS,
    find: "if (isPresent(namesake) || isPresent(tombstone)) return null;",
    put: "if (isPresent(namesake)) return null;",
    red: [
      "deletion_remains_test.ts",
      "account deletion: nobody is imported under its id before all is cleared away",
    ],
  },
];
