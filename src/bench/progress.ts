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
 * Runs steps one after another and shows on stderr how far it is: on a terminal as a list that moves, elsewhere line by line.
 *
 * It draws only when there is news: a spinner that turns would take time from what is measured.
 *
 * @throws what a step throws.
 */
export async function showProgress(steps: readonly Step[]): Promise<void> {
  const toStderr = new ProcessOutput(process.stderr, process.stderr);
  const tasks = steps.map(({ title, run }) => ({
    title,
    task: async (_: unknown, task: { title: string; output: string }) => {
      const outcome = await run((text) => {
        task.output = text;
      });
      task.title = `${title}: ${outcome}`;
    },
  }));
  if (process.stderr.isTTY) {
    await new Listr(tasks, {
      concurrent: false,
      renderer: "default",
      rendererOptions: { lazy: true, logger: new ListrLogger({ useIcons: true, processOutput: toStderr }) },
    }).run();
  } else {
    const logger = new ListrLogger({ useIcons: false, processOutput: toStderr });
    await new Listr(tasks, {
      concurrent: false,
      renderer: SimpleRenderer,
      rendererOptions: { logger },
    }).run();
  }
}
