// Makes sure that the programs which the tests need are there. Each need is one row of the table.
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { installRuntimes } from "./setup-runtimes.js";

interface Need {
  /** What the tests use it for. */
  readonly purpose: string;
  /** Environment variable that names the program, when it is not on the PATH. */
  readonly variable: string;
  /** Names to look for on the PATH, best first. */
  readonly programs: readonly string[];
  /** The Debian package that brings it. */
  readonly debian: string;
  /** The service that this package would start, now and at every boot. */
  readonly service?: string;
}

const needs: readonly Need[] = [
  {
    purpose: "tests in a browser",
    variable: "CHROMIUM_BIN",
    programs: ["chromium", "chromium-browser", "google-chrome"],
    debian: "chromium",
  },
  {
    purpose: "tests behind nginx",
    variable: "NGINX_BIN",
    programs: ["nginx"],
    debian: "nginx",
    service: "nginx",
  },
  {
    purpose: "tests behind HAProxy",
    variable: "HAPROXY_BIN",
    programs: ["haproxy"],
    debian: "haproxy",
    service: "haproxy",
  },
  {
    purpose: "tests with NATS",
    variable: "NATS_SERVER_BIN",
    programs: ["nats-server"],
    debian: "nats-server",
    service: "nats-server",
  },
];

/** Debian leaves these out of the PATH of everybody but root. */
const SYSTEM_FOLDERS: readonly string[] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/** Homebrew's places, which are missing from the PATH of shells that do not read its settings. */
const HOMEBREW_FOLDERS: readonly string[] = ["/opt/homebrew/bin", "/home/linuxbrew/.linuxbrew/bin"];
/** Debian's packages ask this program before they start a service; 101 says no. */
const POLICY = "/usr/sbin/policy-rc.d";
const SYSTEMCTL = "/usr/bin/systemctl";

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isThere(need: Need): boolean {
  const named = process.env[need.variable];
  if (named !== undefined && named !== "") return isExecutable(named);
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  folders.push(...SYSTEM_FOLDERS, ...HOMEBREW_FOLDERS);
  return need.programs.some((program) => folders.some((folder) => isExecutable(join(folder, program))));
}

function run(command: string, ...args: string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { status, stdout, stderr } = spawnSync(command, args, { env, encoding: "utf8" });
  if (status !== 0) console.error(`${command} ${args.join(" ")} failed\n${stdout}${stderr}`);
  return status === 0;
}

/** Keeps a service that was just installed from starting at the next boot. */
function disableAtBoot(service: string): void {
  // With an init script this does for systemd too; without one, as nats-server comes, it would only complain.
  if (existsSync(`/etc/init.d/${service}`)) run("update-rc.d", service, "disable");
  // Where this is missing, there is no systemd that would start anything. The root is given for machines where it does
  // not run, such as containers: the link goes all the same.
  else if (isExecutable(SYSTEMCTL)) run(SYSTEMCTL, "--root=/", "--quiet", "disable", `${service}.service`);
}

/** Installs packages, and lets none of them listen on a port of this machine. */
function install(wanted: readonly Need[]): void {
  const packages = wanted.map((need) => need.debian);
  console.log(`installing ${packages.join(", ")}`);
  const policyIsOurs = !existsSync(POLICY);
  if (policyIsOurs) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    // A failed update leaves the lists of before, which may still be good enough.
    run("apt-get", "update", "-q");
    run("apt-get", "install", "-q", "-y", "--no-install-recommends", ...packages);
  } finally {
    if (policyIsOurs) rmSync(POLICY);
  }
  for (const { service } of wanted) {
    if (service !== undefined) disableAtBoot(service);
  }
}

let missing = needs.filter((need) => !isThere(need));
if (missing.length > 0 && process.getuid?.() === 0 && isExecutable("/usr/bin/apt-get")) {
  install(missing);
  missing = needs.filter((need) => !isThere(need));
}
for (const { purpose, programs, debian, variable } of missing) {
  console.error(
    `${purpose} need ${programs.join(" or ")}: install the Debian package ${debian}, or set ${variable}`,
  );
}
if (!installRuntimes() || missing.length > 0) process.exitCode = 1;
