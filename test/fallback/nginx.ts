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
  /** Upgrades go to this port instead. */
  readonly upgradesTo?: number;
  /** It speaks HTTP/2, and HTTP/1.1 to who wants that, over TLS with this; both in PEM. */
  readonly tls?: { readonly key: string; readonly cert: string };
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
  { refusesUpgrades, buffers, upgradesTo = target, tls }: Obstacles,
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
  map $http_upgrade $way { default upgrades; "" hawser; }
  upstream hawser { server 127.0.0.1:${target}; keepalive 16; }
  upstream upgrades { server 127.0.0.1:${upgradesTo}; }
  server {
    listen 127.0.0.1:${port}${tls === undefined ? "" : " ssl http2"};
    ${tls === undefined ? "" : `ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;`}
    location / {
      ${refusesUpgrades ? "if ($http_upgrade) { return 403; }" : ""}
      proxy_pass http://$way;
      proxy_http_version ${buffers === "whole" ? "1.0" : "1.1"};
      proxy_set_header Host $http_host;
      # For the tests: how the client speaks, and over which of its connections.
      proxy_set_header X-Client "$server_protocol $connection";
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
  const write = (wanted: Obstacles) => {
    if (wanted.tls !== undefined) {
      scratch.write("key.pem", wanted.tls.key);
      scratch.write("cert.pem", wanted.tls.cert);
    }
    return scratch.write("nginx.conf", configuration(scratch.path, port, target, wanted));
  };
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
