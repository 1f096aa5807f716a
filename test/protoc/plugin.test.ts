import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { runPlugin } from "./run-plugin.js";

const greeter = readFileSync("test/protoc/golden/greeter.proto", "utf8");

const syntax = 'syntax = "proto3";\npackage a;\n';

/** The one file that comes out for a schema. */
function generated(proto: string, parameter?: string): string {
  return runPlugin({ "a.proto": proto }, parameter).get("a_hawser.ts") ?? "";
}

/** All names that the file exports by itself. */
const exported = (text: string): string[] =>
  [...text.matchAll(/^export (?:const|function|interface) ([\w$]+)/gm)].map(([, name]) => name ?? "");

describe("what is generated", () => {
  // `UPDATE=1 npx vitest run test/protoc/plugin.test.ts` writes the golden file anew; read what has changed.
  it("is the golden file, for a small service", () => {
    const path = "test/protoc/golden/greeter_hawser.ts.txt";
    const text = (runPlugin({ "greeter.proto": greeter }).get("greeter_hawser.ts") ?? "").replace(
      / v\d+\.\d+\.\d+ /,
      " ",
    );
    if (process.env["UPDATE"] !== undefined) writeFileSync(path, text);
    expect(text).toBe(readFileSync(path, "utf8"));
  });

  it("has the comments of the schema, and what it says about calls", () => {
    const text = runPlugin({ "greeter.proto": greeter }).get("greeter_hawser.ts") ?? "";
    const client = text.slice(
      text.indexOf("export interface GreeterServiceClient"),
      text.indexOf("export function"),
    );
    const doc = (method: string) =>
      new RegExp(`/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\n {2}${method}\\(`).exec(client)?.[1];
    expect(text).toContain(" * Greets people.\n * Over several lines. *\\/ is no end.\n");
    expect(doc("greet")).toMatch(
      /Greets one\.[\s\S]*Unary; `NO_SIDE_EFFECTS`[\s\S]*rpc golden.v1.GreeterService.Greet/,
    );
    expect(doc("watch")).toMatch(/Greets for ever\.[\s\S]*Server streaming\./);
    expect(doc("pay")).toMatch(/Pays for a greeting\.[\s\S]*`\(hawser.v1.once\)`: takes effect once/);
    expect(doc("count")).toMatch(/Client streaming; `IDEMPOTENT`/);
    expect(doc("chat")).toMatch(/Use Greet\.[\s\S]*Bidirectional streaming\.[\s\S]*@deprecated/);
    expect(doc("greet")).not.toContain("@deprecated");
  });

  it("exports all that protoc-gen-es has generated, also for files without messages", () => {
    expect(generated(`${syntax}enum Side { SIDE_UNSPECIFIED = 0; }`)).toContain('export * from "./a_pb.js";');
  });

  it("keeps out of the way of the schema's own names", () => {
    const text = generated(`${syntax}
      message Tick { Tick inner = 1; }
      message TickCodec { string text = 1; }
      message Text { string text = 1; }
      message Routes { uint32 into = 1; uint32 at = 2; bool created = 3; string message = 4; bytes bytes = 5; }
      message TickServiceClient { int32 cursor = 1; }
      service TickService { rpc Get(Routes) returns (TickServiceClient); rpc Watch(Tick) returns (stream Text); }`);
    // Besides what it exports in place of the other file, under the same names.
    expect(exported(text).filter((name) => !/Schema$|^TickService$/.test(name))).toEqual([
      "TickServiceClient$1",
      "createTickServiceClient",
      "TickServiceHandlers",
      "tickServiceRoutes",
      "TickCodec$1",
      "TickCodecCodec",
      "TextCodec",
      "RoutesCodec",
      "TickServiceClientCodec",
    ]);
    // The functions of message Text have the names of functions that are imported.
    expect(text).toMatch(/writeText as writeText\$1/);
    expect(text).toMatch(/import type \{[^}]*Routes as Routes\$1[^}]*\} from "hawser"/);
    expect(text).toContain("const into$ = message.into;");
  });

  it("uses the codecs of files that are generated along with it, and looks others up", () => {
    const protos = {
      "a/money.proto": 'syntax = "proto3"; package a; message Money { int64 units = 1; }',
      "b/order.proto":
        'syntax = "proto3"; package b; import "a/money.proto"; import "google/protobuf/timestamp.proto"; message Order { a.Money price = 1; google.protobuf.Timestamp at = 2; }',
    };
    const both = runPlugin(protos).get("b/order_hawser.ts") ?? "";
    expect(both).toContain('import { MoneyCodec } from "../a/money_hawser.js";');
    expect(both).toMatch(/TimestampCodec[^}]*\} from "hawser\/codec"/);
    const one = runPlugin(protos, undefined, ["b/order.proto"]).get("b/order_hawser.ts") ?? "";
    expect(one).not.toContain("money_hawser");
    expect(one).toContain("codecElsewhere(MoneySchema)");
  });
});

describe("options", () => {
  it("codecs=false leaves the codecs out", () => {
    const text =
      runPlugin({ "greeter.proto": greeter }, "target=ts,codecs=false").get("greeter_hawser.ts") ?? "";
    expect(text).toContain("createGreeterServiceClient");
    expect(text).not.toContain("hawser/codec");
  });

  it.each([
    ["none", "./a_pb"],
    ["js", "./a_pb.js"],
    ["ts", "./a_pb.ts"],
  ])("import_extension=%s", (extension, path) => {
    const text = generated(
      `${syntax} message M { string s = 1; }`,
      `target=ts,import_extension=${extension}`,
    );
    expect(text).toContain(`export * from "${path}";`);
    expect(text).toContain(`import { MSchema as MSchema$1 } from "${path}";`);
  });

  it.each([
    ["codec=false", "codec=false"],
    ["codecs=no", "codecs=no"],
    ["target=py", "target=py"],
    ["js_import_style=legacy_commonjs,target=js", "legacy_commonjs"],
    ["rewrite_imports=./a_pb.js:x", "rewrite_imports"],
  ])("refuses %s", (parameter, word) => {
    expect(() => generated(`${syntax} message M { string s = 1; }`, parameter)).toThrow(word);
  });
});
