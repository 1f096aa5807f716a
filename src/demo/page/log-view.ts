import type { MessageInitShape } from "@bufbuild/protobuf";
import { type TailRequestSchema, TailState } from "../../../gen/hawser/demo/v1/host_pb.js";
import { createGate } from "../gate.js";
import type { HostClient } from "../host-client.js";
import { element, textElement } from "./dom.js";

/** Lines that stay on the page. */
const LINES_SHOWN = 200;
/** Lines from before the page was opened. */
const LINES_BEFORE = 20;

type Command = MessageInitShape<typeof TailRequestSchema>;

/** Follows a log of the server with one Tail call, until that ends. The button pauses and resumes the call. */
export async function followLog(client: HostClient, log: string): Promise<void> {
  const button = element<HTMLButtonElement>("pause");
  const list = element("log");
  const state = element("log-state");
  const pressed = pressesOf(button);

  async function* commands(): AsyncGenerator<Command> {
    yield { command: { case: "start", value: { log, lastLines: LINES_BEFORE } } };
    for (let pausing = true; ; pausing = !pausing) {
      await pressed();
      yield { command: { case: pausing ? "pause" : "resume", value: {} } };
    }
  }

  try {
    list.replaceChildren();
    for await (const { event } of client.tail(commands())) {
      if (event.case === "line") {
        const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
        const line = document.createElement("li");
        line.append(textElement("b", `${event.value.number} `), event.value.text);
        list.append(line);
        if (list.childElementCount > LINES_SHOWN) list.firstElementChild?.remove();
        // Somebody who scrolled back to read something is left where they are.
        if (atEnd) list.scrollTop = list.scrollHeight;
      } else if (event.case === "status") {
        const paused = event.value.state === TailState.PAUSED;
        state.textContent = paused ? `paused after line ${event.value.afterLine}` : "";
        button.textContent = paused ? "Resume" : "Pause";
        button.disabled = false;
      }
    }
  } finally {
    button.disabled = true;
  }
}

/** Resolves at the next press. The button stays disabled until the server has confirmed the one before. */
function pressesOf(button: HTMLButtonElement): () => Promise<void> {
  return () => {
    const gate = createGate();
    button.onclick = () => {
      button.disabled = true;
      gate.open();
    };
    return gate.opened;
  };
}
