// An account as Django's `dumpdata` writes it, `{ model, pk, fields }`: of `auth.user`, or of a project's own user model.
// It becomes a line of ours, so that one form decides what is right.

/** A record of a Django dump. */
export interface DjangoRecord {
  readonly model: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Whether a parsed value is a record of a dump. */
export function isDjangoRecord(value: unknown): value is DjangoRecord {
  return typeof value === "object" && value !== null && "model" in value && typeof value.model === "string" &&
    "fields" in value && typeof value.fields === "object" && value.fields !== null;
}

/** Every user model has both, from AbstractBaseUser; nothing else has. */
export function isDjangoUser({ fields }: DjangoRecord): boolean {
  return "password" in fields && "last_login" in fields;
}

/**
 * The line of ours that says the same. Django knows nothing of verified addresses: an account that is active counts as
 * verified, unless the model says so itself. A username that is the address again is none.
 */
export function toUserLine({ fields }: DjangoRecord): Record<string, unknown> {
  const isActive = fields.is_active !== false;
  return {
    email: fields.email ?? "",
    email_verified: [fields.email_verified, fields.is_email_verified, fields.is_verified]
      .find((claim) => typeof claim === "boolean") ?? isActive,
    username: isSameText(fields.username, fields.email) ? null : textOrNull(fields.username),
    name: nameOf(fields),
    role: fields.is_superuser === true || fields.is_staff === true ? "admin" : "user",
    status: isActive ? "active" : "disabled",
    ...(fields.date_joined === undefined ? {} : { created_at: momentOf(fields.date_joined) }),
    last_login_at: fields.last_login === null ? null : momentOf(fields.last_login),
    password_hash: fields.password,
  };
}

function nameOf({ name, full_name, first_name, last_name }: DjangoRecord["fields"]): string | null {
  return textOrNull(full_name) ?? textOrNull(name) ??
    textOrNull([first_name, last_name].filter((part) => typeof part === "string").join(" "));
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : null;
}

function isSameText(a: unknown, b: unknown): boolean {
  return typeof a === "string" && typeof b === "string" && a.toLowerCase() === b.toLowerCase();
}

/** Without USE_TZ the times have no zone: they are taken as UTC. */
function momentOf(value: unknown): unknown {
  const isLocal = typeof value === "string" && /T[\d:.]+$/.test(value);
  return isLocal ? `${value}Z` : value;
}
