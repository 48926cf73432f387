// Which tests there are, by what stands in their files: for pages and tables that name tests.

import { REPOSITORY } from "./process.ts";

const forms = new Map<string, Promise<RegExp[]>>();

/** Whether `file`, in this folder, has a test of this name. Where a name is put together, anything may stand in each gap. */
export async function isTest(file: string, name: string): Promise<boolean> {
  return (await namesIn(file)).some((form) => form.test(name));
}

/** What the names of a file's tests look like: in those that are put together, anything may stand in each gap. */
function namesIn(file: string): Promise<RegExp[]> {
  const known = forms.get(file);
  if (known) return known;
  const read = Deno.readTextFile(`${REPOSITORY}tests/${file}`).then((text) =>
    [...text.matchAll(/\bDeno\.test\(\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/g)]
      .map(([, plain, template = ""]) =>
        new RegExp(`^${plain === undefined ? gaps(template) : escape(plain)}$`)
      )
  ).catch(() => []);
  forms.set(file, read);
  return read;
}

function gaps(template: string): string {
  return template.split(/\$\{[^}]*\}/).map(escape).join(".+");
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
