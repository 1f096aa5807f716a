// What the page of the test runs.
import { connect } from "../../src/client/browser.js";
import { createHawserTransport } from "../../src/connectrpc/index.js";
import { dialogue } from "./dialogue.js";

declare global {
  var talk: () => Promise<unknown>;
}

globalThis.talk = () => dialogue(createHawserTransport(connect(`ws://${location.host}/rpc`)));
