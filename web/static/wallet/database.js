// The database of this browser, for pages and for the service worker alike: it has neither imports nor exports, so that
// both can run it. "keys": by the subject they sign for; "outbox": payments by the id of their entry (delivery.js).

self.commonwatt ??= {};

{
  const DATABASE = "commonwatt", VERSION = 1, STORES = ["keys", "outbox"];

  /** `act` makes one request on a store; its result, once it is durable. */
  self.commonwatt.inStore = async (mode, act, name) => {
    const database = await opened();
    try {
      return await new Promise((resolve, reject) => {
        const transaction = database.transaction(name, mode, { durability: "strict" });
        const request = act(transaction.objectStore(name));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onerror = transaction.onabort = () => reject(request.error ?? transaction.error);
      });
    } finally {
      database.close();
    }
  };

  function opened() {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open(DATABASE, VERSION);
      request.onupgradeneeded = () => {
        for (const name of STORES) {
          if (!request.result.objectStoreNames.contains(name)) request.result.createObjectStore(name);
        }
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }
}
