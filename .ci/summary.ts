// Reads the report of Vitest's JSON reporter and prints, as the last line, "N passed, N failed". The second
// argument is "ok" when Vitest was satisfied. Fails when a test failed, when one was skipped, and when none ran.
import { existsSync, readFileSync } from "node:fs";

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const [path = "", outcome = "ok"] = process.argv.slice(2);
const complaints: string[] = [];
let passed = 0;
let failed = 0;

if (existsSync(path)) {
  const report = JSON.parse(readFileSync(path, "utf8")) as Report;
  for (const file of report.testResults) {
    const failures = file.assertionResults.filter((test) => test.status === "failed").length;
    passed += file.assertionResults.filter((test) => test.status === "passed").length;
    // A file that cannot be loaded, or whose hooks fail, has no failed test to its name.
    failed += failures === 0 && file.status === "failed" ? 1 : failures;
    for (const test of file.assertionResults) {
      if (test.status !== "passed" && test.status !== "failed") {
        complaints.push(`not run (${test.status}): ${test.fullName}`);
      }
    }
  }
  // An unhandled rejection, for example: Vitest fails, and its report knows nothing of it.
  if (outcome !== "ok" && failed === 0) {
    complaints.push("the run failed outside of any test");
    failed = 1;
  }
  if (passed + failed === 0) complaints.push("no test ran");
} else {
  complaints.push("the tests left no report");
}

if (complaints.length > 0) console.error(complaints.join("\n"));
if (complaints.length > 0 || failed > 0) process.exitCode = 1;
console.log(`${passed} passed, ${failed} failed`);
