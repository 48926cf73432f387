// Client addresses and networks: what a client writes into a header must not choose its limit.

import assert from "node:assert/strict";
import fc from "fast-check";
import { clientAddress, networkOf } from "../src/network.ts";

const SOCKET = "198.51.100.7";

const addressCases = [
  { name: "no proxy trusted, header ignored", hops: 0, forwardedFor: "203.0.113.5", address: SOCKET },
  { name: "header absent", hops: 1, forwardedFor: null, address: SOCKET },
  { name: "header empty", hops: 1, forwardedFor: "", address: SOCKET },
  { name: "one hop", hops: 1, forwardedFor: "203.0.113.5", address: "203.0.113.5" },
  {
    name: "one hop, forged entries on the left",
    hops: 1,
    forwardedFor: "1.1.1.1, 203.0.113.5",
    address: "203.0.113.5",
  },
  { name: "two hops", hops: 2, forwardedFor: "1.1.1.1,203.0.113.5,10.0.0.1", address: "203.0.113.5" },
  { name: "fewer entries than hops", hops: 2, forwardedFor: "203.0.113.5", address: SOCKET },
  { name: "entry is no address", hops: 1, forwardedFor: "203.0.113.5, unknown", address: SOCKET },
  { name: "entry is empty", hops: 1, forwardedFor: "203.0.113.5,", address: SOCKET },
  { name: "entry with octal digits", hops: 1, forwardedFor: "010.0.0.1", address: SOCKET },
  { name: "entry with three parts", hops: 1, forwardedFor: "10.0.1", address: SOCKET },
  { name: "entry with a port", hops: 1, forwardedFor: "203.0.113.5:4711", address: "203.0.113.5" },
  { name: "IPv6 entry", hops: 1, forwardedFor: "2001:DB8:0:0::5", address: "2001:db8::5" },
  { name: "IPv6 entry in brackets", hops: 1, forwardedFor: "[2001:db8::5]", address: "2001:db8::5" },
  { name: "IPv6 entry with a port", hops: 1, forwardedFor: "[2001:db8::5]:4711", address: "2001:db8::5" },
  { name: "IPv4-mapped entry", hops: 1, forwardedFor: "::ffff:203.0.113.5", address: "203.0.113.5" },
  { name: "entry with a zone", hops: 1, forwardedFor: "fe80::1%eth0", address: "fe80::1" },
] as const;

for (const { name, hops, forwardedFor, address } of addressCases) {
  Deno.test(`client address: ${name}: ${address}`, () => {
    assert.equal(clientAddress({ socketAddress: SOCKET, forwardedFor }, hops), address);
  });
}

const socketCases = [
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:201", "192.0.2.1"],
  ["2001:db8:0:0:0:0:0:1", "2001:db8::1"],
  ["fe80::1%eth0", "fe80::1"],
  ["::1", "::1"],
  ["/run/latchkey.sock", "0.0.0.0"],
  [null, "0.0.0.0"],
] as const;

for (const [socketAddress, address] of socketCases) {
  Deno.test(`client address: socket ${socketAddress}: ${address}`, () => {
    assert.equal(clientAddress({ socketAddress, forwardedFor: null }, 0), address);
  });
}

const networkCases = [
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:DB8:1:2::", "2001:db8:1:2::/64"],
  ["fe80::1%eth0", "fe80::/64"],
  ["::1", "::/64"],
  ["nonsense", "0.0.0.0"],
] as const;

for (const [address, network] of networkCases) {
  Deno.test(`network: ${address}: ${network}`, () => assert.equal(networkOf(address), network));
}

Deno.test("network: all hosts of a /64 share it, and those of two do not", () => {
  const group = fc.integer({ min: 0, max: 0xffff });
  const half = fc.tuple(group, group, group, group);
  const textOf = (groups: readonly number[]): string => groups.map((part) => part.toString(16)).join(":");
  // With a zero first group it might be IPv4 in IPv6 notation.
  const prefix = half.filter(([first]) => first !== 0);
  fc.assert(fc.property(prefix, prefix, half, half, (prefixA, prefixB, hostA, hostB) => {
    const network = networkOf(textOf([...prefixA, ...hostA]));
    assert.equal(networkOf(textOf([...prefixA, ...hostB])), network);
    assert.equal(networkOf(textOf([...prefixB, ...hostA])) === network, textOf(prefixA) === textOf(prefixB));
  }));
});

Deno.test("client address: left of the trusted entry a client may write what it likes", () => {
  fc.assert(fc.property(fc.string(), fc.ipV4(), fc.integer({ min: 1, max: 10 }), (forged, client, hops) => {
    const proxies = Array.from({ length: hops - 1 }, (_, index) => `10.0.0.${index + 1}`);
    const forwardedFor = [forged, client, ...proxies].join(", ");
    assert.equal(clientAddress({ socketAddress: SOCKET, forwardedFor }, hops), client);
  }));
});

Deno.test("client address: never throws, and always answers an address", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      fc.integer({ min: 0, max: 10 }),
      (socketAddress, forwardedFor, hops) => {
        const address = clientAddress({ socketAddress, forwardedFor }, hops);
        assert.equal(clientAddress({ socketAddress: address, forwardedFor: null }, 0), address);
      },
    ),
  );
});
