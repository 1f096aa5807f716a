// Where programs and ports of this machine are.
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { delimiter, join } from "node:path";

/** Something is missing that the user has to see to; the message says what. */
export class MissingError extends Error {
  override readonly name = "MissingError";
}

/** Debian leaves these out of the PATH of everybody but root; the others are Homebrew's. */
const OTHER_FOLDERS: readonly string[] = [
  "/usr/sbin",
  "/usr/local/sbin",
  "/opt/homebrew/bin",
  "/home/linuxbrew/.linuxbrew/bin",
];

/**
 * Finds a program.
 *
 * @param variable The environment variable that names it, if it is set.
 * @param debian The Debian package that brings it.
 * @throws MissingError
 */
export function programPath(name: string, variable: string, debian: string): string {
  const named = process.env[variable];
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const candidates = named ? [named] : [...path, ...OTHER_FOLDERS].map((folder) => join(folder, name));
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  throw new MissingError(
    named
      ? `${variable} is ${named}, and there is no program`
      : `${name} is missing: install the Debian package ${debian}, or set ${variable} to where it is`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** So many free ports of this machine. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Whether somebody listens there. */
export function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
