// A TCP relay in front of the service, so that a test can cut every connection and let them through again.

import net from "node:net";

/** Starts a relay to `target` (an http URL); answers {url, cut, mend, close}. */
export async function relay(target) {
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  let open = true;
  const server = net.createServer((near) => {
    if (!open) {
      near.destroy();
      return;
    }
    const far = net.connect({ host: hostname, port: Number(port || 80) });
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const cut = () => {
    open = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Ends all connections and refuses new ones. */
    cut,
    /** Lets connections through again. */
    mend: () => {
      open = true;
    },
    close: () => {
      cut();
      server.close();
    },
  };
}
