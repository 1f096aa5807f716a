export type { ServerInspector } from "../server/inspection.js";
export { inspector } from "./inspector.js";
export type { InspectorOptions } from "./options.js";
