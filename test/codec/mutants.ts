// Bugs that codecs could have, put into generated code, to see that fuzzing finds each of them.
import type { Edit } from "./generate.js";
import { type Failure, runSeeds } from "./seeds.js";

/** A bug: what is replaced in generated code, everywhere. */
export interface Mutant {
  readonly name: string;
  readonly from: RegExp;
  readonly to: string;
}

export const MUTANTS: readonly Mutant[] = [
  { name: "a tag of one byte is another field's", from: /into\[at\+\+\] = 10;/g, to: "into[at++] = 18;" },
  { name: "a tag of several bytes loses a bit", from: /into\[at\+\+\] = 255;/g, to: "into[at++] = 254;" },
  {
    name: "a message that comes twice is replaced",
    from: /if \(message\.\w+ !== undefined\) unusual\(\);/g,
    to: "",
  },
  {
    name: "a message in a oneof that comes twice is replaced",
    from: /if \([\w.$]+\?\.case === "\w+"\) unusual\(\);/g,
    to: "",
  },
  {
    name: "a value of a map that comes twice is replaced",
    from: /if \(value !== undefined\) unusual\(\);/g,
    to: "",
  },
  { name: "sint32 is written as int32", from: /= writeSint32\(/g, to: "= runtime.writeInt32(" },
  { name: "sint64 is read without zigzag", from: /readSint64\(/g, to: "runtime.readInt64(" },
  { name: "int64 is read unsigned", from: /readInt64\(/g, to: "runtime.readUint64(" },
  { name: "sfixed32 is read unsigned", from: /readSfixed32\(/g, to: "runtime.readFixed32(" },
  { name: "uint32 is read signed", from: /readUint32\(/g, to: "runtime.readInt32(" },
  { name: "a double is read in half", from: /at \+= 8;/g, to: "at += 4;" },
  {
    name: "the key __proto__ is set as any other",
    from: /setEntry\(([\w.$]+), key, value\)/g,
    to: "$1[key] = value",
  },
  {
    name: "64-bit keys of maps are read as 32 bits",
    from: /longKey\(key\)/g,
    to: "BigInt(runtime.numberKey(key))",
  },
  {
    name: "an entry without a key has none",
    from: /let key: Unchecked = [^;]+;/g,
    to: "let key: Unchecked;",
  },
  { name: "unknown fields are dropped", from: /unknown\.push\(/g, to: "[].concat(" },
  { name: "a message may end in the middle of a field", from: /if \(at !== to\) unusual\(\);/g, to: "" },
  { name: "depth is not counted", from: /depth \+ 1\)/g, to: "depth)" },
  { name: "depth is not counted for wrappers", from: /checkDepth\(depth \+ 1\);/g, to: "" },
  { name: "minus zero is not written", from: /!Object\.is\(([\w.$]+), 0\)/g, to: "$1 !== 0" },
  { name: "a closed enum takes any number", from: /if \(!\(.*\)\) unusual\(\);/g, to: "" },
  { name: "a required field may be missing", from: /\} else \{\s+unusual\(\);\s+\}/g, to: "}" },
  {
    name: "inherited defaults count as set",
    from: /isSet\(message, "\w+", ([\w$]+), created\)/g,
    to: "$1 !== undefined && $1 !== null",
  },
  {
    name: "zero is written without presence",
    from: /if \((\w+)\) \{(\s+into)/g,
    to: "if ($1 !== undefined && $1 !== null) {$2",
  },
  { name: "the bound is too small", from: /let bound = (\d+);/g, to: "let bound = Math.floor($1 / 2);" },
  { name: "bad UTF-8 is replaced", from: /readText\(/g, to: "runtime.readLooseText(" },
  { name: "bytes are copied", from: /readBytes\(bytes, at, to\)/g, to: "readBytes(bytes, at, to).slice()" },
  { name: "jstype is ignored", from: /String\(read(\w+)\(bytes, at\)\)/g, to: "read$1(bytes, at)" },
  {
    name: "what is in a created message may be an init object",
    from: /start, created\)\)/g,
    to: "start, false))",
  },
  {
    name: "properties come in another order",
    from: /message\.(\w+) = \[\];/g,
    to: 'delete message.$$typeName; message.$1 = []; message.$$typeName = "";',
  },
];

/** Tries seeds one after the other until one finds the bug; `undefined`: none did. */
export async function findMutant(
  mutant: Mutant,
  seeds: readonly number[],
  rounds: number,
): Promise<Failure | undefined> {
  let places = 0;
  const edit: Edit = (source) => {
    places += source.match(mutant.from)?.length ?? 0;
    // What the bug calls may not be among the imports.
    const runtime = 'import * as runtime from "hawser/codec";';
    return `${runtime}\n${source.replace(mutant.from, mutant.to)}`;
  };
  for (const seed of seeds) {
    const { failures } = await runSeeds([seed], rounds, { edit });
    if (failures[0] !== undefined) return failures[0];
  }
  if (places === 0) throw new Error(`the mutant "${mutant.name}" has no place in the generated code`);
  return undefined;
}
