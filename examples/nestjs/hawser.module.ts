// Hawser in NestJS: one module, which serves on the HTTP server that Nest has, and drains before Nest closes it.
import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Module,
  type OnApplicationBootstrap,
} from "@nestjs/common";
import { HttpAdapterHost } from "@nestjs/core";
import { type AttachableServer, createServer, type Server, type ServerOptions } from "hawser/server";

/** Token of the server, for providers that publish: `@Inject(HAWSER) server: Server`. */
export const HAWSER: symbol = Symbol("hawser.server");

/** What {@link HawserModule.forRoot} takes. */
export interface HawserModuleOptions {
  /** Path of the WebSocket. Default `/rpc`. */
  readonly path?: string;
  /** Modules whose providers the factory needs. */
  readonly imports?: DynamicModule["imports"];
  /** Providers that the factory gets, in this order. */
  readonly inject?: FactoryProvider["inject"];
  /** Makes the options of `createServer`: routes to your providers, authentication. */
  readonly useFactory: FactoryProvider<ServerOptions>["useFactory"];
}

const PATH = Symbol("hawser.path");

@Module({})
export class HawserModule implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #server: Server;
  readonly #path: string;
  readonly #host: HttpAdapterHost;

  constructor(
    @Inject(HAWSER) server: Server,
    @Inject(PATH) path: string,
    @Inject(HttpAdapterHost) host: HttpAdapterHost,
  ) {
    this.#server = server;
    this.#path = path;
    this.#host = host;
  }

  static forRoot({
    path = "/rpc",
    imports = [],
    inject = [],
    useFactory,
  }: HawserModuleOptions): DynamicModule {
    return {
      module: HawserModule,
      global: true,
      imports,
      providers: [
        { provide: PATH, useValue: path },
        {
          provide: HAWSER,
          inject,
          useFactory: async (...dependencies) => createServer(await useFactory(...dependencies)),
        },
      ],
      exports: [HAWSER],
    };
  }

  /** Before Nest listens. */
  onApplicationBootstrap(): void {
    this.#server.attach(this.#host.httpAdapter.getHttpServer() as AttachableServer, { path: this.#path });
  }

  /** Before Nest stops listening, which waits until all connections have ended. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.#server.drain();
  }
}
