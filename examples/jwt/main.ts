// All three in one process: node --import tsx examples/jwt/main.ts
// Environment: TOKEN_SECONDS (4): how long a token is good; SECONDS (12): how long the client goes on.
import { createClient } from "hawser/client";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connectWithLogin } from "./client.js";
import { startIssuer } from "./issuer.js";
import { createJwtServer } from "./server.js";

const { TOKEN_SECONDS = "4", SECONDS = "12" } = process.env;
const audience = "https://rpc.example.com";

const issuer = await startIssuer({ audience, lifetimeS: Number(TOKEN_SECONDS) });
const server = createJwtServer({
  issuer: issuer.url,
  audience,
  jwksUrl: `${issuer.url}/jwks.json`,
  clockToleranceS: 0, // one machine, one clock
});
const { url } = await server.listen({ port: 0 });

const connection = connectWithLogin(url, { issuer: issuer.url, username: "ada", password: "lovelace" });
connection.on("state", ({ state }) => console.log(`the connection is ${state}`));
const echo = createClient(EchoService, connection);

let calls = 0;
let token = 0n;
for (const end = Date.now() + Number(SECONDS) * 1_000; Date.now() < end; ) {
  const { name, id } = await echo.echo({});
  calls++;
  if (id !== token)
    console.log(`call ${calls}: ${name}, with a token until ${new Date(Number(id) * 1_000).toISOString()}`);
  token = id;
  await new Promise((done) => setTimeout(done, 100));
}
console.log(`${calls} calls, ${issuer.issued} tokens, none failed`);

await connection.close();
await server.close();
issuer.close();
