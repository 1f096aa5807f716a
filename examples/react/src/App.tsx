import { createClient } from "hawser/client";
import { useMemo, useState } from "react";
import { PollService } from "../../../gen/hawser/poll/v1/poll_hawser.js";
import { useCall, useConnection, useConnectionState, useStream, useTopic } from "./hooks.js";

/** The page: how the poll stands, buttons to vote, and all votes one by one on demand. */
export function App() {
  const [replaying, setReplaying] = useState(false);
  return (
    <main>
      <h1>What holds a ship?</h1>
      <p>
        <State />
      </p>
      <Standing />
      <button type="button" id="replay" onClick={() => setReplaying(!replaying)}>
        {replaying ? "Hide the votes" : "Show all votes"}
      </button>
      {replaying && <Replay />}
    </main>
  );
}

function usePoll() {
  const connection = useConnection();
  return useMemo(() => createClient(PollService, connection), [connection]);
}

function State() {
  const state = useConnectionState();
  return <output id="state">{state}</output>;
}

function Standing() {
  const poll = usePoll();
  const { latest, error } = useTopic("standing", (signal) => poll.watch({}, { signal, topic: { last: 1 } }));
  const vote = useCall(poll.vote);
  if (error !== undefined) return <p role="alert">{error.message}</p>;
  if (latest === undefined) return <p>…</p>;
  return (
    <>
      <ul id="standing">
        {Object.entries(latest.votes).map(([option, votes]) => (
          <li key={option}>
            <button type="button" id={option} onClick={() => vote.call({ option })}>
              {option}
            </button>{" "}
            <span className="votes">{votes}</span>
          </li>
        ))}
      </ul>
      <p id="vote">
        {vote.pending && "counting …"}
        {vote.error !== undefined && <span role="alert">{vote.error.message}</span>}
        {!vote.pending && vote.response !== undefined && `yours was vote number ${vote.response.number}`}
      </p>
    </>
  );
}

function Replay() {
  const poll = usePoll();
  const { messages, status } = useStream("replay", (signal) => poll.replay({}, { signal }), 1_000);
  return (
    <>
      <p id="replay-status">{status}</p>
      <ol id="votes">
        {messages.map(({ number, option }) => (
          <li key={number} value={number}>
            {option}
          </li>
        ))}
      </ol>
    </>
  );
}
