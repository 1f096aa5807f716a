import { Listr, ListrLogger, ProcessOutput, SimpleRenderer } from "listr2";

/** Says what is under way, from within a step. */
export type Say = (text: string) => void;

/** Something that takes a while. */
export interface Step {
  readonly title: string;
  /** @returns what is said of it when it is done. */
  run(say: Say): Promise<string>;
}

/**
 * Runs steps one after another and shows on stderr how far it is: on a terminal in lines that change, elsewhere line by line.
 *
 * It draws only when there is news: a spinner that turns would take time from what is measured.
 *
 * @throws what a step throws.
 */
export async function showProgress(steps: readonly Step[]): Promise<void> {
  const processOutput = new ProcessOutput(process.stderr, process.stderr);
  const logger = new ListrLogger({ useIcons: process.stderr.isTTY === true, processOutput });
  for (const { title, run } of steps) {
    const task = {
      title,
      task: async (_: unknown, task: { title: string; output: string }) => {
        const outcome = await run((text) => {
          task.output = text;
        });
        task.title = `${title}: ${outcome}`;
      },
    };
    // A list of its own for each: a list that is longer than the terminal would hide what is under way.
    if (process.stderr.isTTY) await new Listr([task], { rendererOptions: { lazy: true, logger } }).run();
    else await new Listr([task], { renderer: SimpleRenderer, rendererOptions: { logger } }).run();
  }
}
