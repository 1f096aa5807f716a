import { type Router, resumable } from "hawser/server";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Between two messages of a stream. */
const STEP_MS = 10;

/** Services to try a deployment out with: your own go here. */
export function routes(router: Router): void {
  router.service(EchoService, {
    /** Takes `id` milliseconds, to see what a restart does to slow calls. */
    async echo({ id, name }) {
      await sleep(Number(id));
      return { id, name };
    },
    /** Counts. A stream that outlives the drain goes on at another node, behind the number that the client saw last. */
    async *repeat({ count }, { resumeToken, signal }) {
      for (let number = Number(resumeToken || 0) + 1; number <= count && !signal.aborted; number++) {
        yield resumable({ number }, String(number));
        await sleep(STEP_MS);
      }
    },
  });
}
