// TSX_TSCONFIG_PATH=examples/nestjs/tsconfig.json node --import tsx examples/nestjs/main.ts
// Environment: PORT (8080). SIGTERM drains.
import "reflect-metadata";
import { NestFactory } from "@nestjs/core";
import { AppModule } from "./poll.js";

const app = await NestFactory.create(AppModule, { logger: ["warn", "error"] });
app.enableShutdownHooks();
await app.listen(Number(process.env["PORT"] ?? 8080), "127.0.0.1");
console.log(`listening on ${await app.getUrl()}`);
