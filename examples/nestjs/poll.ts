// The application: a poll that is a provider, which a controller shows over HTTP and Hawser over its connection.
import { Controller, Get, Inject, Injectable, Module } from "@nestjs/common";
import { Code, memoryIdempotencyStore, type Router, RpcError } from "hawser/server";
import { PollService } from "../../gen/hawser/poll/v1/poll_hawser.js";
import { HawserModule } from "./hawser.module.js";

@Injectable()
export class Poll {
  readonly #votes: string[] = [];

  /** @throws RpcError INVALID_ARGUMENT */
  vote(option: string): number {
    if (option === "") throw new RpcError("vote for something", Code.InvalidArgument);
    return this.#votes.push(option);
  }

  *votes(): Generator<{ number: number; option: string }> {
    for (const [index, option] of this.#votes.entries()) yield { number: index + 1, option };
  }
}

@Controller("votes")
class VotesController {
  readonly #poll: Poll;

  constructor(@Inject(Poll) poll: Poll) {
    this.#poll = poll;
  }

  @Get()
  list(): { number: number; option: string }[] {
    return [...this.#poll.votes()];
  }
}

@Module({ providers: [Poll], controllers: [VotesController], exports: [Poll] })
class PollModule {}

@Module({
  imports: [
    HawserModule.forRoot({
      imports: [PollModule],
      inject: [Poll],
      useFactory: (poll: Poll) => ({
        idempotencyStore: memoryIdempotencyStore(),
        routes: (router: Router) =>
          router.service(PollService, {
            vote: ({ option }) => ({ number: poll.vote(option) }),
            async *replay() {
              yield* poll.votes();
            },
          }),
      }),
    }),
    PollModule,
  ],
})
export class AppModule {}
