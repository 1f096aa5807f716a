import { createServer, type Server, type ServerOptions } from "hawser/server";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { claimsOf, demandScope, jwtAuthentication, type TokenRules } from "./authenticate.js";

/** A server that lets nobody in without an access token. */
export function createJwtServer(rules: TokenRules, options: Partial<ServerOptions> = {}): Server {
  return createServer({
    authenticate: jwtAuthentication(rules),
    routes: (router) =>
      router.service(EchoService, {
        /** Says who the caller is, by the token of this moment. */
        echo: (_, context) => ({
          name: context.session.identity?.id ?? "",
          id: BigInt(claimsOf(context).exp ?? 0),
        }),
        async *repeat({ count }, context) {
          demandScope(context, "repeat");
          for (let number = 1; number <= count && !context.signal.aborted; number++) {
            yield { number };
            await new Promise((done) => setTimeout(done, 100));
          }
        },
      }),
    ...options,
  });
}
