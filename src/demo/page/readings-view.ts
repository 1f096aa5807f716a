import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Host, Reading } from "../../../gen/hawser/demo/v1/host_pb.js";
import { bytes, percent } from "../format.js";
import { type Chart, createChart, type DownTime } from "./chart.js";
import { element, textElement } from "./dom.js";

/** The charts and the table of processes. */
export interface ReadingsView {
  showHost(host: Host): void;
  add(reading: Reading): void;
  /** Draws the charts anew, because the down times have changed. */
  redraw(): void;
}

/** Fills the page's charts, with the times at which the link was down behind them. */
export function createReadingsView(downTimes: readonly DownTime[]): ReadingsView {
  /** Whole of memory and disk, the upper ends of their charts. */
  const whole = { memory: 0, disk: 0 };
  const chart = (
    name: string,
    lines: readonly { label: string; colour: string }[],
    format: (value: number) => string,
    top: (largest: number) => number,
  ): Chart =>
    createChart({
      plot: element(`${name}-plot`),
      key: element(`${name}-key`),
      lines,
      format,
      top,
      downTimes,
    });

  const busy = chart("busy", [{ label: "busy", colour: "--first" }], percent, () => 1);
  const load = chart(
    "load",
    [
      { label: "1 min", colour: "--first" },
      { label: "5 min", colour: "--second" },
      { label: "15 min", colour: "--third" },
    ],
    (value) => value.toFixed(2),
    (largest) => Math.max(1, largest * 1.2),
  );
  const used = [{ label: "used", colour: "--first" }];
  const memory = chart("memory", used, bytes, (largest) => whole.memory || largest || 1);
  const disk = chart("disk", used, bytes, (largest) => whole.disk || largest || 1);

  return {
    showHost(host) {
      element("hostname").textContent = host.hostname;
      element("facts").textContent =
        `${host.system}, ${host.architecture}, ${host.cpuCount} × ${host.cpuModel}`;
    },
    add(reading) {
      const seconds = (reading.takenAt === undefined ? Date.now() : timestampMs(reading.takenAt)) / 1_000;
      if (reading.load !== undefined) {
        const { oneMinute, fiveMinutes, fifteenMinutes } = reading.load;
        busy.add(seconds, [reading.load.busy]);
        load.add(seconds, [oneMinute ?? null, fiveMinutes ?? null, fifteenMinutes ?? null]);
      }
      if (reading.memory !== undefined) {
        whole.memory = Number(reading.memory.total);
        memory.add(seconds, [Number(reading.memory.total - reading.memory.available)]);
      }
      if (reading.disk !== undefined) {
        whole.disk = Number(reading.disk.total);
        element("disk-title").textContent = `Disk of ${reading.disk.path}`;
        disk.add(seconds, [Number(reading.disk.total - reading.disk.available)]);
      }
      if (reading.processes !== undefined) showProcesses(reading.processes);
    },
    redraw() {
      for (const each of [busy, load, memory, disk]) each.redraw();
    },
  };
}

function showProcesses(table: NonNullable<Reading["processes"]>): void {
  element("process-total").textContent = table.unavailableReason || `${table.total} running`;
  element("processes").replaceChildren(
    ...table.processes.map((process) => {
      const row = document.createElement("tr");
      row.append(
        textElement("td", process.name),
        textElement("td", String(process.pid), "number"),
        textElement("td", percent(process.cpu), "number"),
        textElement("td", bytes(process.resident), "number"),
      );
      return row;
    }),
  );
}
