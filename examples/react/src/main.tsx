import { connect } from "hawser/client";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.js";
import { ConnectionContext } from "./hooks.js";

// One connection for the page. It comes back by itself; components only look at it.
const connection = connect(new URL("/rpc", location.href).href);

const root = document.getElementById("root");
if (root === null) throw new Error("the page has no element root");
createRoot(root).render(
  <StrictMode>
    <ConnectionContext value={connection}>
      <App />
    </ConnectionContext>
  </StrictMode>,
);
