import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import type { GeneratedFile } from "@bufbuild/protoplugin";

/** Generates interfaces and factories of all services of a file. */
export function generateServices(_file: GeneratedFile, _desc: DescFile): void {}

export type { DescMethod, DescService };
