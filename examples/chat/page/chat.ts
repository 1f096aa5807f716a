// The page of the chat: one connection, three streams of a room, and messages on their way there.
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, connect, createClient, gapBefore, RpcError } from "hawser/client";
import { ChatService } from "../../../gen/hawser/chat/v1/chat_pb.js";
import { refuse, showEntry } from "./entry.js";
import { type Draft, RoomStore } from "./store.js";
import { RoomView } from "./view.js";

/** So many messages are asked for on the first visit. */
const LAST = 50;
/** Others are told this often that somebody is about to write. */
const TYPING_EVERY_MS = 2_000;
/** What could not be had, or sent, is tried again after this time. */
const AGAIN_MS = 1_000;

showEntry(enterRoom);

/** Shows a room for as long as the page is there. */
function enterRoom(name: string, room: string): void {
  const connection = connect(new URL("/rpc", location.href), {
    credentials: name,
    reconnect: { initialDelayMs: 300, maxDelayMs: 5_000 },
    // What is written while there is no connection waits for it.
    maxWaitMs: Number.POSITIVE_INFINITY,
  });
  const client = createClient(ChatService, connection);
  const store = new RoomStore(room);
  const view = new RoomView(name, room, { onSend: write, onTyping: sayTyping });
  const left = new AbortController();
  const { signal } = left;

  connection.on("state", ({ state }) => view.showState(state));
  connection.on("closed", ({ reason }) => {
    if (!signal.aborted) refuse(reason);
  });
  // Others see at once that this tab is gone, and not when the server gives its session up.
  addEventListener("pagehide", () => {
    left.abort();
    void connection.close();
  });

  for (const line of store.lines) view.add(line);
  void persist(readMessages);
  void persist(readMembers);
  void persist(readTyping);
  let sending = Promise.resolve();
  for (const draft of store.unsent) queue(draft);

  /** Breaks of the link and losses of the session do not end a stream. What does is told, or tried again. */
  async function persist(work: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted) return;
        const { code, rawMessage } = RpcError.from(error);
        if (code !== Code.Unavailable) return view.showTrouble(rawMessage);
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  /** Goes on where this tab was, be it before a reload; otherwise begins with the newest. */
  async function readMessages(): Promise<void> {
    let { position } = store;
    const topic = {
      after: position,
      last: position === undefined ? LAST : undefined,
      onPosition(reached: string) {
        position = reached;
      },
    };
    for await (const message of client.join({ room }, { signal, topic })) {
      const { id, author, text, sentAt } = message;
      const line = {
        id,
        author: { id: author?.id ?? "", name: author?.name ?? "" },
        text,
        sentAt: sentAt === undefined ? Date.now() : timestampMs(sentAt),
        gap: gapBefore(message)?.reason,
      };
      view.add(line);
      store.add(line, position);
    }
  }

  /** The first event has everybody, later ones who comes and goes. Somebody with two tabs is there twice. */
  async function readMembers(): Promise<void> {
    const sessions = new Map<string, { id: string; name: string }>();
    for await (const { snapshot, joined, left } of client.watchMembers({ room }, { signal })) {
      if (snapshot) sessions.clear();
      for (const { session, identity, info } of joined)
        sessions.set(session, { id: identity, name: info["name"] ?? identity });
      for (const { session } of left) sessions.delete(session);
      view.showMembers(new Map([...sessions.values()].map((member) => [member.id, member])));
    }
  }

  async function readTyping(): Promise<void> {
    for await (const { author } of client.watchTyping({ room }, { signal }))
      if (author !== undefined) view.showTyping(author);
  }

  let toldAt = Number.NEGATIVE_INFINITY;
  function sayTyping(): void {
    if (performance.now() - toldAt < TYPING_EVERY_MS) return;
    toldAt = performance.now();
    // Of no use later: not sent when there is no connection, and nobody asks what became of it.
    client.sayTyping({ room }, { waitForReady: false, timeoutMs: TYPING_EVERY_MS }).catch(() => undefined);
  }

  function write(text: string): void {
    toldAt = Number.NEGATIVE_INFINITY;
    const draft = { id: newId(), text };
    store.keep(draft);
    queue(draft);
  }

  /** One after the other, so that they stay in order whatever has to be tried again. */
  function queue(draft: Draft): void {
    view.addUnsent(draft);
    sending = sending.then(() => persist(() => send(draft)));
  }

  /** May happen again, after a reload too: the server takes an id once. */
  async function send(draft: Draft): Promise<void> {
    try {
      await client.send({ room, ...draft }, { signal });
      store.drop(draft);
    } catch (error) {
      if (!signal.aborted && RpcError.from(error).code !== Code.Unavailable) {
        store.drop(draft);
        view.dropUnsent(draft);
      }
      throw error;
    }
  }
}

/** Not `crypto.randomUUID()`, which pages have over HTTPS only. */
function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
