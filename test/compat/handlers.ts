import type { ServiceImpl } from "../../src/index.js";
import { echoHandlers } from "../support/echo.js";
import type * as present from "./release.js";

/** An EchoService that also fails, hangs and sends headers, on wish. */
export function echoOf({
  Code,
  errorDetail,
  NoteSchema,
  RpcError,
}: typeof present): ServiceImpl<typeof present.EchoService> {
  return {
    ...echoHandlers(),
    async echo(request, context) {
      if (request.name === "fail") {
        const details = [errorDetail(NoteSchema, { number: 7 })];
        throw new RpcError("as you wish", Code.InvalidArgument, { details });
      }
      if (request.name === "hang")
        await new Promise<void>((resolve) => {
          context.signal.addEventListener("abort", () => resolve(), { once: true });
        });
      const asked = context.requestHeader.get("x-asked");
      if (asked !== null) context.responseHeader.set("x-answer", asked);
      context.responseTrailer.set("x-trailer", "bye");
      return { id: request.id, name: request.name, body: request.body };
    },
  };
}
