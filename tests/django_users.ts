// What Django 5.2 itself wrote: `dumpdata` of a project with a user model of its own, all passwords `violet-comet-93`,
// and hashes of its hashers, among them the vectors of its own tests (tests/auth_tests/test_hashers.py).

/** `dumpdata --format jsonl`: one account a hasher, an admin, one without password, a disabled one; and no user. */
export const DJANGO_DUMP_LINES: readonly string[] = [
  '{"model":"auth.permission","pk":1,"fields":{"name":"Can add member","content_type":7,"codename":"add_member"}}',
  '{"model":"people.member","pk":1,"fields":{"password":"pbkdf2_sha256$1000000$434GJhcODCvuV0BBYBnPke$gI7xgNGh4nyhWcMGcTlwy22rJXKxeLLVAw3UOMqB50Y=","last_login":null,"is_superuser":false,"username":"user_pbkdf2_sha256","first_name":"Ada","last_name":"L0","is_staff":false,"is_active":true,"date_joined":"2026-11-21T10:16:01.828Z","email":"pbkdf2-sha256@example.org","full_name":"","groups":[],"user_permissions":[]}}',
  '{"model":"people.member","pk":2,"fields":{"password":"argon2$argon2id$v=19$m=102400,t=2,p=8$NDQzaVNOVUlOWkZJelFGaG91d1lndw$mSNbRv75iGLgIwcAMQf6tZjKLJEub1HLN52JQyxTYm4","last_login":null,"is_superuser":false,"username":"user_argon2","first_name":"Ada","last_name":"L1","is_staff":false,"is_active":true,"date_joined":"2026-11-21T10:16:01.939Z","email":"argon2@example.org","full_name":"","groups":[],"user_permissions":[]}}',
  '{"model":"people.member","pk":3,"fields":{"password":"bcrypt_sha256$$2b$12$M4AnvxlI0OAZcwbJaRelT.5tylPZ67byJkoRsHt4Si6lJGtNkNM5u","last_login":null,"is_superuser":false,"username":"user_bcrypt_sha256","first_name":"Ada","last_name":"L2","is_staff":false,"is_active":true,"date_joined":"2026-11-21T10:16:02.199Z","email":"bcrypt-sha256@example.org","full_name":"","groups":[],"user_permissions":[]}}',
  '{"model":"people.member","pk":4,"fields":{"password":"bcrypt$$2b$12$4gEUUPenR9QnzQBGHzcFAelFlA/M6iilvUQtZ4jbqgFijnRDJb1l2","last_login":null,"is_superuser":false,"username":"user_bcrypt","first_name":"Ada","last_name":"L3","is_staff":false,"is_active":true,"date_joined":"2026-11-21T10:16:02.458Z","email":"bcrypt@example.org","full_name":"","groups":[],"user_permissions":[]}}',
  '{"model":"people.member","pk":5,"fields":{"password":"scrypt$16384$mF1Xj5yOxdx5Ur73rnBwQB$8$5$zDzOfVAlibHF8ro+zjHZA9FlayGfP6hTSTHHx1jozp3PYd56mrz3++uB+zsxDqmJgL3ORh4MXAxJAzkXdQfEdQ==","last_login":null,"is_superuser":false,"username":"user_scrypt","first_name":"Ada","last_name":"L4","is_staff":false,"is_active":true,"date_joined":"2026-11-21T10:16:02.636Z","email":"scrypt@example.org","full_name":"","groups":[],"user_permissions":[]}}',
  '{"model":"people.member","pk":6,"fields":{"password":"pbkdf2_sha256$1000000$n1jbeEzpKBwVr6CbZbnoXC$nSO9m/dsDi9oAqK613pDR4A77bd+HdjTl61zkMedlEI=","last_login":null,"is_superuser":true,"username":"root","first_name":"","last_name":"","is_staff":true,"is_active":true,"date_joined":"2026-11-21T10:16:02.638Z","email":"root@example.org","full_name":"","groups":[],"user_permissions":[]}}',
  '{"model":"people.member","pk":7,"fields":{"password":"!pFuUjChqasqT8VHefpBv4tgbNncvznUVU59Awx7x","last_login":null,"is_superuser":false,"username":"nopass","first_name":"","last_name":"","is_staff":false,"is_active":true,"date_joined":"2026-11-21T10:16:02.916Z","email":"NoPass@Example.org","full_name":"","groups":[],"user_permissions":[]}}',
  '{"model":"people.member","pk":8,"fields":{"password":"pbkdf2_sha256$1000000$Sx91Su0LGDZXakxMxj9o1f$4bTO3hZM0KTYa7U4VLJpyeEryP+MbDIFF/b6AbCJSjA=","last_login":null,"is_superuser":false,"username":"gone@example.org","first_name":"","last_name":"","is_staff":false,"is_active":false,"date_joined":"2026-11-21T10:16:03.192Z","email":"gone@example.org","full_name":"","groups":[],"user_permissions":[]}}',
];

/** The same accounts as `dumpdata` writes them without options: one array. */
export const DJANGO_DUMP_ARRAY = `[\n${DJANGO_DUMP_LINES.join(",\n")}\n]\n`;

/** A hash of a hasher, and the password it was made from. */
export interface DjangoHash {
  readonly name: string;
  readonly hash: string;
  readonly password: string;
}

export const DJANGO_HASHES: readonly DjangoHash[] = [
  {
    name: "pbkdf2_sha256 of 5.2",
    password: "lètmein",
    hash: "pbkdf2_sha256$1000000$seasalt$r1uLUxoxpP2Ued/qxvmje7UH9PUJBkRrvf9gGPL7Cps=",
  },
  {
    name: "pbkdf2_sha256 of 3.2",
    password: "lètmein",
    hash: "pbkdf2_sha256$260000$seasalt$YlZ2Vggtqdc61YjArZuoApoBh9JNGYoDRBUGu6tcJQo=",
  },
  {
    name: "pbkdf2_sha1",
    password: "lètmein",
    hash: "pbkdf2_sha1$260000$seasalt2$wAibXvW6jgvatCdONi6SMJ6q7mI=",
  },
  {
    name: "scrypt of 5.2",
    password: "lètmein",
    hash:
      "scrypt$16384$seasalt$8$5$ECMIUp+LMxMSK8xB/IVyba+KYGTI7FTnet025q/1f/vBAVnnP3hdYqJuRi+mJn6ji6ze3Fbb7JEFPKGpuEf5vw==",
  },
  {
    name: "scrypt of 4.0",
    password: "lètmein",
    hash:
      "scrypt$16384$seasalt$8$1$Qj3+9PPyRjSJIebHnG81TMjsqtaIGxNQG/aEB/NYafTJ7tibgfYz71m0ldQESkXFRkdVCBhhY8mx7rQwite/Pw==",
  },
  {
    name: "argon2 (argon2id)",
    password: "lètmein",
    hash:
      "argon2$argon2id$v=19$m=102400,t=2,p=8$c3ZPaEIwa1hJYVozd21VTE9hUXpNQQ$tB/O+FWCdhRcgF8+GrvOpCQkD/oDBUeWawxspsCPdY0",
  },
  {
    name: "argon2 before 3.2 (argon2i)",
    password: "lètmein",
    hash: "argon2$argon2i$v=19$m=512,t=2,p=2$c2Vhc2FsdHNlYXNhbHQ$QallDq/1zpg73Bt1RKe/jA",
  },
  {
    name: "bcrypt_sha256",
    password: "lètmein",
    hash: "bcrypt_sha256$$2b$12$Up9p3z7gCsoqvAUAXZKju.h3qb8czSyjvslZbAVMPhwINQ4Glq9ga",
  },
  {
    name: "bcrypt",
    password: "lètmein",
    hash: "bcrypt$$2b$12$4dMu0W010u9Fw4UIPpXgr.MMCViu/4SD755J1pOCOkkvibghBvL5e",
  },
  {
    name: "bcrypt of 72 bytes",
    password: "x".repeat(72),
    hash: "bcrypt$$2b$04$0wZ6C/MGCAtfX63MprPT1.PqP/5AywhTAzb.RrDGaKNZmzkOiMaIG",
  },
  {
    name: "bcrypt_sha256 of 73 bytes",
    password: "x".repeat(73),
    hash: "bcrypt_sha256$$2b$04$.tkQnpIu9dJkEeiy34FBVe4UBlx4BxxDRVv.gkw7tY2AYN/9y8uma",
  },
];
