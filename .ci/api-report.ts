// Writes etc/*.api.md: what each entry of the package exports, with its types, so that a change of the public interface is
// seen where changes are reviewed. With --check it writes nothing, and fails when a report is not what the code says.
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import {
  Extractor,
  ExtractorConfig,
  ExtractorLogLevel,
  type ExtractorMessage,
} from "@microsoft/api-extractor";

const FOLDER = "etc";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
}

/** Name of the report and declarations of each entry. */
function entries(): readonly (readonly [string, string])[] {
  const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
  return Object.entries(exports).flatMap(([path, target]) =>
    typeof target === "string"
      ? []
      : [[`hawser${path.slice(1)}`.replaceAll("/", "-"), target.types.replace("./dist/", "")] as const],
  );
}

function describeEntry(name: string, declarations: string, scratch: string): string {
  const messages: ExtractorMessage[] = [];
  const reports = join(scratch, "reports");
  mkdirSync(reports, { recursive: true });
  const extractorConfig = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: resolve("package.json"),
    configObject: {
      projectFolder: process.cwd(),
      mainEntryPointFilePath: resolve(scratch, declarations),
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: "es2022",
            lib: ["es2023", "esnext.disposable", "dom", "dom.iterable"],
            module: "nodenext",
            types: ["node"],
            strict: true,
            skipLibCheck: true,
          },
          include: [resolve(scratch, declarations)],
        },
      },
      apiReport: {
        enabled: true,
        includeForgottenExports: true,
        reportFileName: `${name}.api.md`,
        reportFolder: reports,
        reportTempFolder: join(scratch, "temp"),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: "lf",
      messages: {
        // Comments are no part of what is compared: no release tags, and links as TypeScript itself understands them.
        extractorMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
      },
    },
  });
  const { succeeded } = Extractor.invoke(extractorConfig, {
    localBuild: true,
    messageCallback: (message) => {
      message.handled = true;
      if (message.logLevel === "error") messages.push(message);
    },
  });
  if (!succeeded || messages.length > 0)
    throw new Error(`${name}: ${messages.map(({ text }) => text).join("; ") || "api-extractor failed"}`);
  return readFileSync(join(reports, `${name}.api.md`), "utf8");
}

mkdirSync(".tmp", { recursive: true });
const scratch = mkdtempSync(join(".tmp", "api-"));
const stale: string[] = [];
try {
  execFileSync("tsc", ["-p", "tsconfig.build.json", "--emitDeclarationOnly", "--outDir", scratch], {
    stdio: "inherit",
  });
  const check = process.argv.includes("--check");
  mkdirSync(FOLDER, { recursive: true });
  const wanted = new Map(
    entries().map(([name, declarations]) => [`${name}.api.md`, describeEntry(name, declarations, scratch)]),
  );
  for (const [file, report] of wanted) {
    const path = join(FOLDER, file);
    if (existsSync(path) && readFileSync(path, "utf8") === report) continue;
    stale.push(path);
    if (!check) writeFileSync(path, report);
  }
  for (const file of readdirSync(FOLDER).filter((file) => !wanted.has(file))) {
    stale.push(join(FOLDER, file));
    if (!check) rmSync(join(FOLDER, file));
  }
  if (check && stale.length > 0) {
    console.error(
      `the public interface is not what ${stale.join(", ")} say; run \`npm run api\`, and review`,
    );
    process.exitCode = 1;
  } else console.log(stale.length === 0 ? "the reports say what the code says" : `wrote ${stale.join(", ")}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
