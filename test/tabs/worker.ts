import { serveTabs } from "../../src/tabs/worker/index.js";

serveTabs();
