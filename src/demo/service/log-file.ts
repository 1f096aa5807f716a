import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** One line of a file, with its number from 1. */
export interface NumberedLine {
  readonly number: number;
  readonly text: string;
}

/** Reads the lines of a file that others append to. */
export interface LogReader {
  /** The complete lines that were appended since the last call; a line without its break is not complete. */
  read(): Promise<NumberedLine[]>;
  close(): Promise<void>;
}

const READ_BYTES = 64 * 1024;
const LINE_FEED = 0x0a;

/**
 * Opens a growing file for reading from its first line. One call of `read` takes in 64 KiB at most, so that a long
 * file does not come into memory as a whole.
 */
export async function openLog(path: string): Promise<LogReader> {
  const file = await open(path, "r");
  const buffer = Buffer.alloc(READ_BYTES);
  let rest: Buffer = Buffer.alloc(0);
  let number = 0;
  return {
    async read() {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return [];
      // A copy, because `buffer` is written again. Split as bytes: a character may lie across two reads, and no byte
      // of a longer UTF-8 character looks like a line feed.
      const bytes = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      const lines: NumberedLine[] = [];
      let start = 0;
      for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
        number += 1;
        lines.push({ number, text: bytes.toString("utf8", start, end) });
        start = end + 1;
      }
      rest = bytes.subarray(start);
      return lines;
    },
    close: () => file.close(),
  };
}

/** A file that grows by a line now and then. */
export interface GrowingLog {
  /** Lines written so far. */
  readonly lines: number;
  /** Stops after the line that is being written, and closes the file. Rejects when writing failed. */
  stop(): Promise<void>;
}

/**
 * Begins to append a line to `path` every `intervalMs`, in a new file.
 *
 * @param line Gives the text of line `number`, without the line break.
 */
export async function growLog(
  path: string,
  intervalMs: number,
  line: (number: number) => Promise<string>,
): Promise<GrowingLog> {
  const file: FileHandle = await open(path, "wx");
  const stopping = new AbortController();
  let lines = 0;
  const grow = async () => {
    try {
      while (!stopping.signal.aborted) {
        await file.appendFile(`${await line(lines + 1)}\n`);
        lines += 1;
        await delay(intervalMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    } finally {
      await file.close();
    }
  };
  const grown = grow();
  // The failure is told by `stop`; until then it must not end the process.
  grown.catch(() => undefined);
  return {
    get lines() {
      return lines;
    },
    async stop() {
      stopping.abort();
      await grown;
    },
  };
}
