// Writes the test vectors: packets as bytes and as ProtoJSON of hawser.v1.Packet, for implementations in any language.
// Run it after a change: node --import tsx test/vectors/generate.ts && npx biome format --write test/vectors
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type JsonValue, toJson } from "@bufbuild/protobuf";
import { PacketSchema } from "../../gen/hawser/v1/wire_pb.js";
import { encodePacket } from "../../src/wire/encode.js";
import type {
  AttachedFrame,
  DataFrame,
  EndFrame,
  Frame,
  HelloFrame,
  OpenFrame,
  Packet,
  WelcomeFrame,
  WireLimits,
} from "../../src/wire/frame.js";
import { toPb } from "../wire/reference.js";

/** One packet of a vector file. */
export interface Vector {
  /** Who sends it, in exchanges. */
  readonly from?: "client" | "server";
  readonly note: string;
  /** The packet in ProtoJSON. */
  readonly packet: JsonValue;
  /** The packet on the wire. */
  readonly hex: string;
}

/** A vector file. */
export interface VectorFile {
  readonly title: string;
  readonly about: string;
  readonly vectors: readonly Vector[];
}

const session = bytes("9f8e7d6c5b4a39281706f5e4d3c2b1a0");
const otherSession = bytes("00112233445566778899aabbccddeeff");
const epoch = bytes("a1b2c3d4e5f60718293a4b5c6d7e8f90");
const otherEpoch = bytes("ffeeddccbbaa99887766554433221100");
const none = new Uint8Array(0);

const clientLimits: WireLimits = {
  packetBytes: 1_048_576,
  messageBytes: 4_194_304,
  creditBytes: 262_144,
  headerBytes: 16_384,
  calls: 1_024,
};
const zeroLimits: WireLimits = { packetBytes: 0, messageBytes: 0, creditBytes: 0, headerBytes: 0, calls: 0 };
const serverLimits: WireLimits = { ...clientLimits, messageBytes: 1_048_576, calls: 100 };

const callKinds: ReadonlySet<Frame["kind"]> = new Set(["open", "data", "end", "cancel", "credit"]);

function attached(fields: Partial<AttachedFrame>): AttachedFrame {
  const nothing = { call: 0, topic: 0, epoch: "", offset: 0, answers: 0, gap: 0, asks: false, stale: false };
  return { kind: "attached", ...nothing, ...fields };
}

/** `SayRequest { string sentence = 1 }`, and every other message here. */
function sentence(text: string): Uint8Array {
  const utf8 = new TextEncoder().encode(text);
  return Uint8Array.of(0x0a, utf8.length, ...utf8);
}

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

function open(fields: Partial<OpenFrame>): OpenFrame {
  return {
    kind: "open",
    call: 1,
    method: 1,
    name: "",
    headers: undefined,
    timeoutMs: 0,
    end: false,
    size: 0,
    resumeToken: "",
    idempotencyKey: "",
    payload: undefined,
    ...fields,
  };
}

function data(fields: Partial<DataFrame>): DataFrame {
  return {
    kind: "data",
    call: 1,
    end: false,
    size: 0,
    headers: undefined,
    resumeToken: "",
    payload: undefined,
    ...fields,
  };
}

function end(fields: Partial<EndFrame>): EndFrame {
  return {
    kind: "end",
    call: 1,
    code: 0,
    message: "",
    details: undefined,
    headers: undefined,
    trailers: undefined,
    refused: false,
    unfinished: false,
    payload: undefined,
    ...fields,
  };
}

function hello(fields: Partial<HelloFrame>): HelloFrame {
  return {
    kind: "hello",
    version: 1,
    mode: 1,
    session: none,
    epoch: none,
    received: 0,
    credentials: "",
    limits: undefined,
    agent: "",
    link: 0,
    ...fields,
  };
}

function welcome(fields: Partial<WelcomeFrame>): WelcomeFrame {
  return {
    kind: "welcome",
    session,
    epoch,
    resumed: false,
    received: 0,
    limits: undefined,
    pingIntervalMs: 25_000,
    pingTimeoutMs: 10_000,
    graceMs: 60_000,
    ...fields,
  };
}

function vector(note: string, packet: Packet, from?: "client" | "server"): Vector {
  return {
    ...(from === undefined ? {} : { from }),
    note,
    packet: toJson(PacketSchema, toPb(packet)),
    hex: Buffer.from(encodePacket(packet)).toString("hex"),
  };
}

function single(note: string, frame: Frame, seq: number): Vector {
  return vector(note, { seq, ack: 0, frames: [frame] });
}

/** One packet of an exchange; `numbers` where they do not follow from the packets before it. */
type Step = readonly [
  from: "client" | "server",
  note: string,
  frames: readonly Frame[],
  numbers?: { readonly seq?: number; readonly ack?: number },
];

/** An exchange in which each side numbers its packets in order and acknowledges all that came before. */
function exchange(title: string, about: string, steps: readonly Step[]): VectorFile {
  const sent = { client: 0, server: 0 };
  const vectors = steps.map(([from, note, frames, numbers]) => {
    const sequenced = frames.some(({ kind }) => callKinds.has(kind));
    const other = from === "client" ? "server" : "client";
    const seq = numbers?.seq ?? (sequenced ? sent[from] + 1 : 0);
    if (sequenced) sent[from] = seq;
    return vector(note, { seq, ack: numbers?.ack ?? sent[other], frames }, from);
  });
  return { title, about, vectors };
}

/** All vector files by name. */
export function vectorFiles(): Readonly<Record<string, VectorFile>> {
  return {
    "frames.json": {
      title: "Every kind of frame",
      about:
        "One packet per case, unrelated to each other. Default values leave no bytes; an empty payload does.",
      vectors: [
        vector("An empty packet: no bytes.", { seq: 0, ack: 0, frames: [] }),
        vector("A bare acknowledgement.", { seq: 0, ack: 300, frames: [] }),
        vector("The largest numbers, 2^53-1, and a frame without fields.", {
          seq: 2 ** 53 - 1,
          ack: 2 ** 53 - 1,
          frames: [data({ call: 0 })],
        }),
        vector("Several frames.", {
          seq: 12,
          ack: 11,
          frames: [
            data({ payload: sentence("one") }),
            data({ call: 3, payload: sentence("two") }),
            { kind: "credit", call: 5, bytes: 131_072 },
          ],
        }),
        single(
          "Open: the method's name and number, metadata, a deadline, the only message.",
          open({
            name: "eliza.v1.ElizaService/Say",
            headers: [
              ["authorization", "Bearer c2VjcmV0"],
              ["trace-bin", "AAEC"],
            ],
            timeoutMs: 2_000,
            end: true,
            payload: sentence("hello"),
          }),
          1,
        ),
        single("Open: the number alone, later.", open({ call: 3, end: true, payload: sentence("hello") }), 2),
        single(
          "Open by the accepting side, without a message.",
          open({ call: 2, name: "chat.v1.Client/Watch" }),
          1,
        ),
        single("Open: the first 4 of 10 bytes.", open({ call: 5, size: 10, payload: bytes("0a086162") }), 3),
        single("Data: a message.", data({ payload: sentence("good") }), 4),
        single("Data: an empty message, which is not the same as none.", data({ payload: none }), 5),
        single("Data: the caller sends no more.", data({ end: true }), 6),
        single("Data: the last message of the caller.", data({ end: true, payload: sentence("bye") }), 7),
        single(
          "Data: the first piece of 70,000 bytes.",
          data({ size: 70_000, payload: bytes("0aeea20441") }),
          8,
        ),
        single("Data: response headers alone.", data({ headers: [["x-served-by", "a1"]] }), 9),
        single("End: OK with the response.", end({ payload: sentence("hi") }), 10),
        single("End: OK, nothing else.", end({}), 11),
        single(
          "End: headers, trailers, no message.",
          end({ headers: [["x-served-by", "a1"]], trailers: [["x-rows", "0"]] }),
          12,
        ),
        single(
          "End: an error with a detail (google.rpc.ErrorInfo with reason STALE).",
          end({
            code: 9,
            message: "the cart is stale ✗",
            details: [{ type: "google.rpc.ErrorInfo", value: bytes("0a055354414c45") }],
            trailers: [["retry-after-ms", "250"]],
          }),
          13,
        ),
        single(
          "End: turned away.",
          end({ code: 12, message: "a.B/C is not served here", refused: true }),
          14,
        ),
        single("Cancel.", { kind: "cancel", call: 1, code: 1, message: "the reader left" }, 15),
        single("Cancel: the deadline passed.", { kind: "cancel", call: 1, code: 4, message: "" }, 16),
        single("Credit.", { kind: "credit", call: 1, bytes: 131_072 }, 17),
        single(
          "Open: an idempotency key; the payload comes last, though its number is lower.",
          open({
            call: 7,
            end: true,
            idempotencyKey: "018f3a6e-7c1d-7a2b-9c3d-0123456789ab",
            payload: sentence("hat"),
          }),
          18,
        ),
        single(
          "Open: the stream goes on behind the message that carried this token.",
          open({ call: 9, method: 2, end: true, resumeToken: "41", payload: sentence("all") }),
          19,
        ),
        single(
          "Data: a message with a resume token.",
          data({ call: 9, resumeToken: "42", payload: sentence("two") }),
          20,
        ),
        single(
          "Data: the first piece of 70,000 bytes, with the token of the whole message.",
          data({ call: 9, size: 70_000, resumeToken: "43", payload: bytes("0aeea20441") }),
          21,
        ),
        single(
          "End: the deadline passed while the handler was at work.",
          end({ call: 7, code: 4, message: "the deadline of a.B/C passed", unfinished: true }),
          22,
        ),
        single("Ping.", { kind: "ping", id: 1 }, 0),
        single("Pong.", { kind: "pong", id: 1 }, 0),
        single("Hello: a new session.", hello({ limits: clientLimits, agent: "hawser/0.1.0", link: 1 }), 0),
        single(
          "Hello: the session goes on.",
          hello({ mode: 2, session, epoch, received: 41, credentials: "c2VjcmV0", limits: clientLimits }),
          0,
        ),
        single("Hello: limits that are all the defaults.", hello({ limits: zeroLimits }), 0),
        single("Welcome: a new session.", welcome({ limits: serverLimits }), 0),
        single(
          "Welcome: the session goes on.",
          welcome({ resumed: true, received: 17, limits: serverLimits }),
          0,
        ),
        single(
          "GoAway: come back, within 1.5 seconds.",
          { kind: "goAway", code: 1001, reason: "draining", reconnect: true, afterMs: 1_500 },
          0,
        ),
        single(
          "GoAway: do not come back.",
          { kind: "goAway", code: 4403, reason: "banned", reconnect: false, afterMs: 0 },
          0,
        ),
        single(
          "Refresh: the server asks for new credentials.",
          { kind: "refresh", credentials: "", withinMs: 30_000 },
          0,
        ),
        single(
          "Refresh: the client gives them.",
          { kind: "refresh", credentials: "c2VjcmV0", withinMs: 0 },
          0,
        ),
        single(
          "Publication: number 7 of a topic, right behind number 6.",
          { kind: "publication", topic: 3, offset: 7, step: 1, size: 0, payload: sentence("Hi") },
          0,
        ),
        single(
          "Publication: the first piece of a long message.",
          { kind: "publication", topic: 3, offset: 8, step: 1, size: 100_000, payload: sentence("…") },
          0,
        ),
        single(
          "Attached: call 5 gets what comes behind number 6.",
          attached({ call: 5, topic: 3, epoch: "Zk3", offset: 6 }),
          0,
        ),
        single(
          "Attached: history was too short for what the client asked for by Position 2; nothing comes from other nodes.",
          attached({ call: 5, topic: 3, epoch: "Zk3", offset: 40, answers: 2, gap: 2, stale: true }),
          0,
        ),
        single(
          "Position: where call 5 has got, and room for a whole window.",
          { kind: "position", call: 5, epoch: "Zk3", offset: 6, id: 2, room: 262_144 },
          0,
        ),
        single(
          "Position: more room.",
          { kind: "position", call: 5, epoch: "Zk3", offset: 90, id: 0, room: 131_072 },
          0,
        ),
      ],
    },
    "handshake-begin.json": exchange(
      "A new session",
      "The client begins a session, says hello and keeps the link alive.",
      [
        [
          "client",
          "Begins.",
          [hello({ credentials: "c2VjcmV0", limits: clientLimits, agent: "hawser/0.1.0", link: 1 })],
        ],
        ["server", "Gives the session its id.", [welcome({ limits: serverLimits })]],
        ["server", "Asks after a silence.", [{ kind: "ping", id: 1 }]],
        ["client", "Answers.", [{ kind: "pong", id: 1 }]],
      ],
    ),
    "handshake-resume.json": exchange(
      "A session goes on over a new link",
      "Before the break the client had sent 5 packets and the server 4. The client's fifth and the server's fourth were lost with the link. They are sent again after the handshake, the very bytes with their old acknowledgements.",
      [
        [
          "client",
          "Resumes; has received up to 3.",
          [
            hello({
              mode: 2,
              session,
              epoch,
              received: 3,
              credentials: "c2VjcmV0",
              limits: clientLimits,
              agent: "hawser/0.1.0",
              link: 2,
            }),
          ],
          { ack: 0 },
        ],
        [
          "server",
          "The session is still there; has received up to 4.",
          [welcome({ resumed: true, received: 4, limits: serverLimits })],
          { ack: 4 },
        ],
        [
          "client",
          "Packet 5 again.",
          [open({ call: 9, end: true, payload: sentence("still there?") })],
          { seq: 5, ack: 3 },
        ],
        [
          "server",
          "Packet 4 again.",
          [end({ call: 7, payload: sentence("You said hello") })],
          { seq: 4, ack: 4 },
        ],
        [
          "server",
          "New, and acknowledges packet 5.",
          [end({ call: 9, payload: sentence("You said still there?") })],
        ],
      ],
    ),
    "unary.json": exchange(
      "A unary call",
      "One frame each way. The second call needs the method's number only.",
      [
        [
          "client",
          "Opens call 1 and names method 1.",
          [
            open({
              name: "eliza.v1.ElizaService/Say",
              headers: [["authorization", "Bearer c2VjcmV0"]],
              timeoutMs: 2_000,
              end: true,
              payload: sentence("hello"),
            }),
          ],
        ],
        [
          "server",
          "Answers.",
          [end({ headers: [["x-served-by", "a1"]], payload: sentence("You said hello") })],
        ],
        ["client", "Opens call 3.", [open({ call: 3, end: true, payload: sentence("again") })]],
        ["server", "Answers.", [end({ call: 3, payload: sentence("You said again") })]],
      ],
    ),
    "server-streaming.json": exchange(
      "Server streaming with credit",
      "Each message costs its payload and 16 bytes. The client gives back what it has consumed; it may wait until half of the window is consumed, here it does not.",
      [
        [
          "client",
          "Opens the call.",
          [open({ name: "eliza.v1.ElizaService/Introduce", end: true, payload: sentence("Ada") })],
        ],
        [
          "server",
          "Two messages in one packet; headers with the first.",
          [
            data({ headers: [["x-served-by", "a1"]], payload: sentence("Hi Ada") }),
            data({ payload: sentence("I am Eliza") }),
          ],
        ],
        ["client", "Has consumed 8 + 16 and 12 + 16 bytes.", [{ kind: "credit", call: 1, bytes: 52 }]],
        ["server", "One more message.", [data({ payload: sentence("How do you do?") })]],
        ["server", "The end, with trailers.", [end({ trailers: [["x-messages", "3"]] })]],
        ["client", "Acknowledges; there is nothing to ride on.", []],
      ],
    ),
    "chunked.json": exchange(
      "A message in pieces, beside another call",
      "A request of 20 bytes in pieces of 8, 8 and 4. Pieces are 64 KiB as a rule; any size is allowed, so that vectors can be short. Another call goes between them. The server gives back the credit of pieces at once, since nobody can consume them yet.",
      [
        [
          "client",
          "Opens call 1; the message is 20 bytes long, 8 are here.",
          [
            open({
              name: "eliza.v1.ElizaService/Say",
              size: 20,
              payload: sentence("abcdefghijklmnopqr").subarray(0, 8),
            }),
          ],
        ],
        [
          "client",
          "The second piece, and a call that does not wait for the third.",
          [
            data({ payload: sentence("abcdefghijklmnopqr").subarray(8, 16) }),
            open({ call: 3, end: true, payload: sentence("hello") }),
          ],
        ],
        ["server", "Gives back two pieces.", [{ kind: "credit", call: 1, bytes: 48 }]],
        [
          "client",
          "The last piece; the caller sends no more.",
          [data({ end: true, payload: sentence("abcdefghijklmnopqr").subarray(16) })],
        ],
        [
          "server",
          "Answers both calls.",
          [
            end({ call: 3, payload: sentence("You said hello") }),
            end({ payload: sentence("You said abcdefghijklmnopqr") }),
          ],
        ],
      ],
    ),
    "cancel.json": exchange(
      "A call is cancelled",
      "The client leaves a stream. The server forgets the call without an End; what it sent before it knew is ignored by the client.",
      [
        [
          "client",
          "Opens the call.",
          [open({ name: "eliza.v1.ElizaService/Introduce", end: true, payload: sentence("Ada") })],
        ],
        ["server", "A message.", [data({ payload: sentence("Hi Ada") })]],
        ["client", "Leaves.", [{ kind: "cancel", call: 1, code: 1, message: "" }]],
        ["server", "Sent before the Cancel arrived: ignored.", [data({ payload: sentence("I am Eliza") })]],
      ],
    ),
    "error.json": exchange("Calls that fail", "An error of the handler, and a call that is turned away.", [
      [
        "client",
        "Two calls in one packet, the second of a method that nobody serves.",
        [
          open({ name: "shop.v1.Cart/Buy", end: true, payload: sentence("hat") }),
          open({ call: 3, method: 2, name: "shop.v1.Cart/Lend", end: true, payload: sentence("hat") }),
        ],
      ],
      [
        "server",
        "Turned away before a handler saw it.",
        [end({ call: 3, code: 12, message: "shop.v1.Cart/Lend is not served here", refused: true })],
      ],
      [
        "server",
        "FAILED_PRECONDITION with a detail (google.rpc.ErrorInfo with reason STALE) and a trailer.",
        [
          end({
            code: 9,
            message: "the cart is stale ✗",
            details: [{ type: "google.rpc.ErrorInfo", value: bytes("0a055354414c45") }],
            trailers: [["retry-after-ms", "250"]],
          }),
        ],
      ],
    ]),
    "stream-goes-on.json": exchange(
      "A server stream goes on in a new session",
      "Every message carries a resume token. The server dies; in the new session the client makes the call again, with the token of the last message that its application has consumed.",
      [
        [
          "client",
          "Opens the stream.",
          [open({ name: "news.v1.News/Read", end: true, payload: sentence("all") })],
        ],
        [
          "server",
          "Two messages, each with the token of what comes behind it.",
          [
            data({ resumeToken: "41", payload: sentence("one") }),
            data({ resumeToken: "42", payload: sentence("two") }),
          ],
        ],
        [
          "client",
          "The server has died. On a new link: resumes.",
          [hello({ mode: 2, session, epoch, received: 1, limits: clientLimits })],
          { ack: 0 },
        ],
        [
          "server",
          "It knows nothing of the session: a new one, under another epoch.",
          [welcome({ session: otherSession, epoch: otherEpoch, limits: serverLimits })],
          { ack: 0 },
        ],
        [
          "client",
          "The same call again; the application has consumed the first message only. It is the second attempt.",
          [
            open({
              name: "news.v1.News/Read",
              headers: [["grpc-previous-rpc-attempts", "1"]],
              end: true,
              resumeToken: "41",
              payload: sentence("all"),
            }),
          ],
          { seq: 1, ack: 0 },
        ],
        [
          "server",
          "Goes on behind the first message, and ends.",
          [data({ resumeToken: "42", payload: sentence("two") }), end({})],
          { seq: 1, ack: 1 },
        ],
      ],
    ),
    "idempotency-key.json": exchange(
      "A call with an idempotency key",
      "The first attempt is cut short by its deadline while the handler is at work; the second one, with the same key, gets the handler's response. A third request under the same key is refused.",
      [
        [
          "client",
          "The first attempt, with 50 ms to go.",
          [
            open({
              name: "shop.v1.Cart/Buy",
              timeoutMs: 50,
              end: true,
              idempotencyKey: "018f3a6e-7c1d-7a2b-9c3d-0123456789ab",
              payload: sentence("hat"),
            }),
          ],
        ],
        [
          "server",
          "The deadline has passed; what the handler will still do is not known.",
          [end({ code: 4, message: "the deadline of shop.v1.Cart/Buy passed", unfinished: true })],
        ],
        [
          "client",
          "The second attempt.",
          [
            open({
              call: 3,
              end: true,
              idempotencyKey: "018f3a6e-7c1d-7a2b-9c3d-0123456789ab",
              payload: sentence("hat"),
            }),
          ],
        ],
        ["server", "The handler's response: it has run once.", [end({ call: 3, payload: sentence("sold") })]],
        [
          "client",
          "Another request under the same key.",
          [
            open({
              call: 5,
              end: true,
              idempotencyKey: "018f3a6e-7c1d-7a2b-9c3d-0123456789ab",
              payload: sentence("coat"),
            }),
          ],
        ],
        [
          "server",
          "Refused: a new request needs a new key.",
          [end({ call: 5, code: 3, message: "the key was used before with another request", refused: true })],
        ],
      ],
    ),
    "go-away.json": exchange(
      "The server drains",
      "The server says that it will close and when to come back; the call in flight finishes; then the server closes with 1001. The client resumes elsewhere, but the session is gone there.",
      [
        [
          "client",
          "Opens a call.",
          [open({ name: "eliza.v1.ElizaService/Say", end: true, payload: sentence("hello") })],
        ],
        [
          "server",
          "Will close with 1001.",
          [{ kind: "goAway", code: 1001, reason: "draining", reconnect: true, afterMs: 1_500 }],
        ],
        ["server", "Answers what was in flight.", [end({ payload: sentence("You said hello") })]],
        ["client", "Acknowledges. The server closes with 1001.", []],
        [
          "client",
          "On a new link, within 1.5 seconds: resumes.",
          [hello({ mode: 2, session, epoch, received: 1, limits: clientLimits })],
          { ack: 0 },
        ],
        [
          "server",
          "The session is not there: a new one, under another epoch, whose packets begin at 1 again.",
          [welcome({ session: otherSession, epoch: otherEpoch, limits: serverLimits })],
          { ack: 0 },
        ],
      ],
    ),
  };
}

/** Writes the files. */
function main(): void {
  for (const [name, file] of Object.entries(vectorFiles())) {
    writeFileSync(new URL(name, import.meta.url), `${JSON.stringify(file, undefined, 2)}\n`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
