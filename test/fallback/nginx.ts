// A real nginx between clients and a server, which blocks WebSockets or holds answers back.
import { execFileSync } from "node:child_process";
import { userInfo } from "node:os";
import { join } from "node:path";
import { freePorts, ProxyProcess, programPath, scratchFolder } from "../support/proxy-process.js";

/** What an nginx does that makes a fallback necessary. */
export interface Obstacles {
  /** Upgrades are answered with 403. */
  readonly refusesUpgrades: boolean;
  /**
   * Answers are held back, whatever the server asks for: until they are whole (as with the HTTP/1.0 towards the server that
   * nginx has by itself), or in part (with HTTP/1.1).
   */
  readonly buffers: false | "whole" | "in part";
}

export interface RunningNginx {
  readonly port: number;
  /** Starts anew with other obstacles; what stands is cut after a second. */
  change(obstacles: Obstacles): void;
  stop(): Promise<void>;
}

const configuration = (
  folder: string,
  port: number,
  target: number,
  { refusesUpgrades, buffers }: Obstacles,
) => `
${userInfo().uid === 0 ? "user root;" : ""}
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
worker_processes 1;
worker_shutdown_timeout 1s;
events {}
http {
  access_log off;
${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `  ${name}_temp_path ${folder}/${name};`).join("\n")}
  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
  upstream hawser { server 127.0.0.1:${target}; keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    location / {
      ${refusesUpgrades ? "if ($http_upgrade) { return 403; }" : ""}
      proxy_pass http://hawser;
      proxy_http_version ${buffers === "whole" ? "1.0" : "1.1"};
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      # As it is without a word of it.
      proxy_buffering on;
      ${buffers !== false ? "proxy_ignore_headers X-Accel-Buffering;" : ""}
    }
  }
}
`;

export async function startNginx(target: number, obstacles: Obstacles): Promise<RunningNginx> {
  const program = programPath("nginx", "NGINX_BIN");
  const scratch = scratchFolder();
  const [port = 0] = await freePorts(1);
  const write = (wanted: Obstacles) =>
    scratch.write("nginx.conf", configuration(scratch.path, port, target, wanted));
  const args = ["-p", scratch.path, "-e", join(scratch.path, "error.log"), "-c", write(obstacles)];
  const nginx = new ProxyProcess(program, [...args, "-g", "daemon off;"]);
  try {
    await nginx.listening(port);
  } catch (error) {
    scratch.remove();
    throw error;
  }
  return {
    port,
    change(wanted) {
      write(wanted);
      execFileSync(program, [...args, "-s", "reload"]);
    },
    async stop() {
      await nginx.stop();
      scratch.remove();
    },
  };
}
