/** Views are dear to make and cheap to use, so the last one is kept: most messages are written into, or read from, the same array. */

const NOTHING = new Uint8Array(0);

let viewed: Uint8Array = NOTHING;
let view: DataView = new DataView(NOTHING.buffer);

/** A view of all that an array has. */
export function viewOf(bytes: Uint8Array): DataView {
  if (bytes !== viewed) change(bytes);
  return view;
}

function change(bytes: Uint8Array): void {
  viewed = bytes;
  view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
