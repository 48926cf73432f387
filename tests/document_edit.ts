// Changes to a JSON document, as rows of a table say them: `rename(["paths", "/a"], "/b")`.

import assert from "node:assert/strict";
import { z } from "@hono/zod-openapi";

/** Changes a document in place. Fails when what it changes is not there. */
export type Edit = (document: unknown) => void;

/** The names that lead to a member. */
export type Place = readonly string[];

/** Puts `value` there. */
export function set(place: Place, value: unknown): Edit {
  return (document) => {
    const [parent, name] = parentOf(document, place);
    parent[name] = value;
  };
}

/** Takes out what must be there, a member or an item of a list. */
export function remove(place: Place): Edit {
  return (document) => {
    const [parent, name] = parentOf(document, place);
    assert.ok(name in parent, place.join(" "));
    if (Array.isArray(parent)) parent.splice(Number(name), 1);
    else delete parent[name];
  };
}

/** Gives a member another name. */
export function rename(place: Place, name: string): Edit {
  return (document) => {
    copy(place, [...place.slice(0, -1), name])(document);
    remove(place)(document);
  };
}

/** Puts a copy of what is at `from` at `to`. */
export function copy(from: Place, to: Place): Edit {
  return (document) => set(to, structuredClone(valueAt(document, from)))(document);
}

/** Appends to a list. */
export function push(place: Place, value: unknown): Edit {
  return (document) => set(place, [...listAt(document, place), value])(document);
}

/** Takes a value out of a list that must hold it. */
export function drop(place: Place, value: string): Edit {
  return (document) => {
    const list = listAt(document, place);
    assert.ok(list.includes(value), `${value} at ${place.join(" ")}`);
    set(place, list.filter((each) => each !== value))(document);
  };
}

function listAt(document: unknown, place: Place): unknown[] {
  return z.array(z.unknown()).parse(valueAt(document, place));
}

function parentOf(document: unknown, place: Place): [Record<string, unknown>, string] {
  return [membersOf(valueAt(document, place.slice(0, -1))), place.at(-1) ?? ""];
}

function valueAt(document: unknown, place: Place): unknown {
  return place.reduce((value, name) => {
    const members = membersOf(value);
    assert.ok(name in members, `${name} of ${place.join(" ")}`);
    return members[name];
  }, document);
}

function membersOf(value: unknown): Record<string, unknown> {
  assert.ok(typeof value === "object" && value !== null);
  // Parsed JSON; of a list the names are its indices.
  return value as Record<string, unknown>;
}
