// The little of Protocol Buffers that KV Connect needs (protobuf.dev, "Encoding"): messages of whole numbers and of
// bytes, which may be messages again. By hand, because that is shorter than the use of a package.

/** With a buffer of their own, as Request and SQLite give them. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** What a message holds: field number → its values in order. */
export type Fields = ReadonlyMap<number, readonly Value[]>;

/** A whole number, unsigned; or bytes. */
export type Value = bigint | Bytes;

/** Not a message, or one with fields of a kind that is not used here. */
export class MalformedMessage extends Error {
  override readonly name = "MalformedMessage";
}

const VARINT = 0;
const DELIMITED = 2;

/** Throws MalformedMessage. */
export function readFields(message: Bytes): Fields {
  const fields = new Map<number, Value[]>();
  let position = 0;

  function readVarint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[position++];
      if (byte === undefined) throw new MalformedMessage("It ends within a number");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new MalformedMessage("A number has more than 64 bits");
  }

  function readBytes(): Bytes {
    const length = Number(readVarint());
    if (position + length > message.length) throw new MalformedMessage("It ends within a field");
    position += length;
    return message.subarray(position - length, position);
  }

  while (position < message.length) {
    const tag = Number(readVarint());
    const [field, wireType] = [tag >> 3, tag & 7];
    if (wireType !== VARINT && wireType !== DELIMITED) throw new MalformedMessage(`Wire type ${wireType}`);
    const values = fields.get(field) ?? [];
    values.push(wireType === VARINT ? readVarint() : readBytes());
    fields.set(field, values);
  }
  return fields;
}

/** The message with these fields, in this order. */
export function writeFields(fields: readonly (readonly [field: number, value: Value])[]): Bytes {
  const parts = fields.flatMap(([field, value]) =>
    typeof value === "bigint"
      ? [varint(BigInt(field << 3 | VARINT)), varint(value)]
      : [varint(BigInt(field << 3 | DELIMITED)), varint(BigInt(value.length)), value]
  );
  const message = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let position = 0;
  for (const part of parts) {
    message.set(part, position);
    position += part.length;
  }
  return message;
}

/** The bytes of a field that is there at most once; empty when it is not. */
export function bytesOf(fields: Fields, field: number): Bytes {
  const value = fields.get(field)?.at(-1) ?? new Uint8Array();
  if (typeof value === "bigint") throw new MalformedMessage(`Field ${field} is a number`);
  return value;
}

/** The number in a field that is there at most once, signed; 0 when it is not. */
export function numberOf(fields: Fields, field: number): number {
  const value = fields.get(field)?.at(-1) ?? 0n;
  if (typeof value !== "bigint") throw new MalformedMessage(`Field ${field} is no number`);
  return Number(BigInt.asIntN(64, value));
}

/** The messages in a repeated field. */
export function messagesOf(fields: Fields, field: number): Fields[] {
  return (fields.get(field) ?? []).map((value) => {
    if (typeof value === "bigint") throw new MalformedMessage(`Field ${field} is a number`);
    return readFields(value);
  });
}

function varint(value: bigint): Bytes {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
