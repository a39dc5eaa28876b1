// Entries that the server has not confirmed yet. Each has its own key, so that tabs do not overwrite each other.
"use strict";

const Outbox = (() => {
  const PREFIX = "capture:entry:";
  const RETRY = 15_000; // milliseconds; `online` and a new entry trigger an attempt at once
  const TIMEOUT = 20_000; // milliseconds
  const memory = new Map(); // fallback without localStorage

  function uuid() {
    // crypto.randomUUID requires https; RFC 9562, version 4.
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  // Returns whether the value survives closing the page.
  function write(name, value) {
    try {
      localStorage.setItem(name, JSON.stringify(value));
      memory.delete(name);
      return true;
    } catch {
      memory.set(name, value);
      return false;
    }
  }

  function read(name) {
    if (memory.has(name)) return memory.get(name);
    try {
      return JSON.parse(localStorage.getItem(name));
    } catch {
      return null;
    }
  }

  function remove(name) {
    memory.delete(name);
    try { localStorage.removeItem(name); } catch { /* no localStorage */ }
  }

  function names() {
    try {
      return [...new Set([...memory.keys(), ...Object.keys(localStorage)])];
    } catch {
      return [...memory.keys()];
    }
  }

  function entries() {
    const all = names().filter(name => name.startsWith(PREFIX)).map(read).filter(Boolean);
    return all.sort((one, other) => one.visited_at.localeCompare(other.visited_at));
  }

  // An entry of POST /api/v1/visits/capture/.
  function payload(entry) {
    const filled = names => Object.fromEntries(names.filter(name => entry[name]).map(name => [name, entry[name]]));
    return {
      ...filled(["client_uuid", "exhibition", "visited_at", "customer", "grade", "note"]),
      ...(entry.customer ? {} : { new_customer: filled(["given_name", "family_name", "company", "email", "phone"]) }),
      interests: (entry.interests || "").split(",").map(word => word.trim()).filter(Boolean),
      ...(entry.consents?.length ? { consents: entry.consents } : {}),
    };
  }

  // Returns the state "sent", "refused", or the reason why all entries must wait.
  async function send(address, entry) {
    let response;
    try {
      response = await fetch(address, {
        method: "POST",
        body: JSON.stringify({ entries: [payload(entry)] }),
        credentials: "same-origin",
        signal: AbortSignal.timeout(TIMEOUT),
        headers: {
          "Content-Type": "application/json",
          // The page's token, not the cookie's: after another user's login, entries must not be sent as that user.
          "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value,
        },
      });
    } catch {
      return { state: "waiting" };
    }
    const body = await response.json().catch(() => null);
    if (response.ok && body) {
      const [{ status, errors }] = body.results;
      return status === "refused" ? { state: "refused", refusal: { errors } } : { state: "sent" };
    }
    if (response.status === 401) return { state: "logged-out" };
    if (response.status === 403) return { state: "forgery" };
    if (response.ok || response.status === 429 || response.status >= 500) return { state: "fault" };
    return { state: "refused", refusal: { errors: [], status: response.status } };
  }

  // Calls `onChange(state)` whenever the entries or the state have changed.
  function start({ address, person, onChange }) {
    let sending = false;
    let again = false;
    let state = "waiting";
    const mine = () => entries().filter(entry => entry.person === person);

    // Returns the reason to stop, or null.
    async function sendOne(entry) {
      const result = await send(address, entry);
      if (result.state === "sent") {
        remove(PREFIX + entry.client_uuid);
      } else if (result.state === "refused") {
        write(PREFIX + entry.client_uuid, { ...entry, refusal: result.refusal });
      } else {
        return result.state;
      }
      return null;
    }

    // Refused entries must be corrected first.
    async function sendAll() {
      if (sending) { again = true; return; }
      sending = true;
      do {
        again = false;
        let reason = null;
        for (const entry of mine().filter(entry => !entry.refusal)) {
          reason = await sendOne(entry);
          onChange(state = reason || "waiting");
          if (reason) break;
        }
      } while (again);
      sending = false;
      if (state === "waiting" && mine().some(entry => entry.refusal)) onChange(state = "refused");
    }

    window.addEventListener("online", () => sendAll());
    window.addEventListener("storage", () => onChange(state)); // another tab
    document.addEventListener("visibilitychange", () => document.hidden || sendAll());
    setInterval(sendAll, RETRY);
    return {
      mine,
      others: () => entries().length - mine().length,
      onlyInMemory: () => memory.size > 0,
      sendAll,
      add(entry) {
        const isStored = write(PREFIX + entry.client_uuid, entry);
        onChange(state);
        sendAll();
        return isStored;
      },
      discard(entry) {
        remove(PREFIX + entry.client_uuid);
        onChange(state);
      },
    };
  }

  return { start, uuid, read, write, remove };
})();
