import { runTune } from "../../tune/run.js";
import { SampleError } from "../../tune/samples.js";
import { EXIT, UsageError } from "../failure.js";
import type { TuneArguments } from "./arguments.js";

/**
 * `hawser tune`.
 *
 * @returns the exit code
 * @throws UsageError when there is nothing to compress.
 */
export function tuneCommand({ lines, delimited, batch, ...rest }: TuneArguments): number {
  if (lines && delimited) throw new UsageError("--lines and --delimited exclude each other");
  const form = lines ? "lines" : delimited ? "delimited" : "file";
  try {
    runTune({ ...rest, form, batches: batch === undefined ? [1, 16] : [batch] });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof SampleError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
