// The page of the demo: the generated client of the host service, in a browser.

import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { HostService } from "../../../gen/hawser/demo/v1/host_pb.js";
import { connect, createClient } from "../../client/browser.js";
import { hex } from "../format.js";
import { createLinkView, offerCut, showTrouble } from "./link-view.js";
import { followLog } from "./log-view.js";
import { createReadingsView } from "./readings-view.js";
import { createRowCounter } from "./row-counter.js";
import { offerUpload } from "./upload-view.js";

const INTERVAL_MS = 500;
const PROCESSES = 12;
/** The log that the server lets pages follow. */
const LOG = "readings";
/** A call that failed begins again after this time. */
const AGAIN_MS = 1_000;

// Only this page knows the id, and so only this page can have its link cut.
const linkId = hex(crypto.getRandomValues(new Uint8Array(16)));
const url = new URL(`/rpc?link=${linkId}`, location.href);
const connection = connect(url, { reconnect: { initialDelayMs: 300, maxDelayMs: 5_000 } });
const client = createClient(HostService, connection);

const link = createLinkView(connection, () => readings.redraw());
const readings = createReadingsView(link.downTimes);
offerCut(linkId);
offerUpload(client);

/** Keeps a call going: a break of the link does not end it, but the loss of the session does. */
async function keep(call: () => Promise<void>): Promise<void> {
  while (connection.state !== "closed") {
    try {
      await call();
    } catch (error) {
      showTrouble(error instanceof Error ? error.message : String(error));
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

async function showHost(): Promise<void> {
  const { host } = await client.snapshot({});
  if (host !== undefined) readings.showHost(host);
}

const row = createRowCounter();

async function watchReadings(): Promise<void> {
  row.restart();
  const request = { interval: durationFromMs(INTERVAL_MS), maxProcesses: PROCESSES };
  for await (const { number, reading } of client.watch(request)) {
    // Whatever was wrong when this call began is over.
    if (number === 1n) showTrouble("");
    row.add(Number(number));
    link.showRow(row);
    if (reading !== undefined) readings.add(reading);
  }
}

void showHost().catch((error: unknown) => showTrouble(String(error)));
void keep(watchReadings);
void keep(() => followLog(client, LOG));
