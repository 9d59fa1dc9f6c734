// The status page: asks the server every few seconds and shows what it says. Nothing is written as
// HTML, so that no name a client chose can become more than text.

import { Plot } from "/chart.js";
import { bytes, clock, count, millis, moment, plain, plural, rate, span } from "/format.js";
import { Table } from "/table.js";

const EVERY_MS = 3000;
const HEALTH_EVERY_MS = 15000;
const PATIENCE_MS = 20000;
// Rows of tables that stand before others.
const FEW = 10;

const at = (id) => document.getElementById(id);
const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

// A list of names and values, brought up to date in place.
function pairs(list, rows) {
  while (list.children.length > rows.length) list.lastChild.remove();
  rows.forEach(({ name, value, more = null, state = "" }, index) => {
    let box = list.children[index];
    if (!box) {
      box = element("div");
      box.append(element("dt"), element("dd"), element("dd", "", "more"));
      list.append(box);
    }
    if (box.className !== state) box.className = state;
    const [term, shown, beside] = box.children;
    write(term, name);
    write(shown, value);
    write(beside, more ?? "");
    beside.hidden = more === null;
  });
}

const sessions = new Table(at("table-sessions"), {
  caption: "Open connections. A column's name sorts by it.",
  noun: "sessions",
  empty: "Nobody is connected.",
  key: (row) => row.id,
  sort: "User",
  columns: [
    { name: "User", kind: "strong wide", value: (row) => row.user ?? "", text: (row) => row.user },
    { name: "Client", kind: "client wide", value: (row) => row.client ?? "", text: (row) => row.client },
    { name: "Address", kind: "short wide", value: (row) => row.address ?? "", text: (row) => row.address },
    { name: "State", kind: "short", value: state, text: (row) => (row.idle ? "IDLE" : row.state) },
    { name: "Mailbox", value: (row) => row.mailbox ?? "", text: (row) => row.mailbox },
    { name: "Silent", kind: "num", value: (row) => row.silentSecs, text: (row) => span(row.silentSecs) },
    { name: "Open", kind: "num", value: (row) => row.openSecs, text: (row) => span(row.openSecs) },
    { name: "Sent", kind: "num", value: (row) => row.bytesOut, text: (row) => bytes(row.bytesOut) },
    { name: "Received", kind: "num", value: (row) => row.bytesIn, text: (row) => bytes(row.bytesIn) },
    { name: "Commands", kind: "num", value: (row) => row.commands, text: (row) => count(row.commands) },
    { name: "Last", kind: "short", value: (row) => row.last ?? "", text: (row) => row.last },
    { name: "By", kind: "short", value: by, text: by },
  ],
});

function state(row) {
  return row.idle ? "idle" : row.state;
}

function by(row) {
  return `${row.protocol}${row.tls ? "" : ", clear"}`;
}

const clients = new Table(at("clients"), {
  caption: "By account and by the name the client gives itself (ID). The most bytes first.",
  noun: "clients",
  shown: FEW,
  empty: "Nobody has fetched anything yet.",
  key: (row) => JSON.stringify([row.user, row.client]),
  sort: "Sent",
  descending: true,
  columns: [
    { name: "User", kind: "strong wide", value: (row) => row.user, text: (row) => row.user },
    { name: "Client", kind: "client wide", value: (row) => row.client ?? "", text: (row) => row.client },
    { name: "Sent", kind: "num", value: (row) => row.bytesOut, text: (row) => bytes(row.bytesOut) },
    { name: "What it did", kind: "wide", text: cost },
    { name: "Commands", kind: "num", value: (row) => row.commands, text: (row) => count(row.commands) },
    { name: "Connections", kind: "num", value: (row) => row.sessions, text: (row) => count(row.sessions) },
  ],
});

// "12,000 bodies of the same 900 messages": what makes a client dear is fetching again.
function cost(row) {
  if (!row.bodies) return "no body fetched";
  const bodies = plural(row.bodies, "body", "bodies");
  const messages = plural(row.messages, "message", "messages");
  return row.bodies > row.messages ? `${bodies} of the same ${messages}` : `${bodies}, each once`;
}

const refusals = new Table(at("refusals"), {
  caption: "Whom the server refused, and why; the newest first.",
  noun: "refusals",
  shown: FEW,
  empty: "Nobody was refused.",
  key: (row) => row.number,
  sort: "When",
  descending: true,
  columns: [
    { name: "When", kind: "short", value: (row) => row.number, text: (row) => moment(row.secs, now) },
    { name: "Why", kind: "strong short", value: (row) => row.reason, text: (row) => row.reason },
    { name: "Address", kind: "short", value: (row) => row.address ?? "", text: (row) => row.address },
    { name: "User", value: (row) => row.user ?? "", text: (row) => row.user },
    { name: "Client", value: (row) => row.client ?? "", text: (row) => row.client },
    { name: "Times", kind: "num", value: (row) => row.times, text: (row) => count(row.times) },
    { name: "Setting", kind: "short", value: (row) => row.setting ?? "", text: (row) => row.setting },
  ],
});

const plots = [
  new Plot(at("plot-latency"), {
    title: "Command latency", clock, show: millis, least: 1,
    series: [
      { name: "median", pick: (minute) => minute.p50Ms },
      { name: "95 %", pick: (minute) => minute.p95Ms },
      { name: "99 %", pick: (minute) => minute.p99Ms },
    ],
  }),
  new Plot(at("plot-traffic"), {
    title: "Traffic", clock, show: (value) => `${bytes(value)}/s`, least: 1000,
    series: [
      { name: "sent", pick: (minute) => minute.bytesOut, fill: true },
      { name: "received", pick: (minute) => minute.bytesIn },
    ],
  }),
  new Plot(at("plot-commands"), {
    title: "Commands a minute", clock, show: rate, least: 10,
    series: [
      { name: "commands", pick: (minute) => minute.commands, fill: true },
      { name: "delivered", pick: (minute) => minute.deliveries },
    ],
  }),
  new Plot(at("plot-sessions"), {
    title: "Connections", clock, show: count, least: 10,
    series: [
      { name: "open", pick: (minute) => minute.sessions, fill: true },
      { name: "refused a minute", pick: (minute) => minute.refusals },
    ],
  }),
];

let now = 0;
let latest = null;
let health = null;

function fits(row, words, wanted) {
  if (wanted && state(row) !== wanted) return false;
  const text = `${row.user ?? ""} ${row.client ?? ""} ${row.address ?? ""} ${row.mailbox ?? ""}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function showSessions() {
  if (!latest) return;
  const words = at("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = at("state").value;
  const rows = latest.sessions.filter((row) => fits(row, words, wanted));
  sessions.update(rows, latest.sessions.length);
}

function showTiles({ sessions: open, samples, store, index, server }) {
  const last = samples.at(-1);
  const idle = open.filter((row) => row.idle).length;
  const users = new Set(open.map((row) => row.user).filter(Boolean)).size;
  const certificate = health?.checks?.find((check) => check.name === "certificate");
  const found = certificate?.data.certificates ?? [];
  const soonest = [...found].sort((a, b) => a.daysLeft - b.daysLeft)[0];
  pairs(at("tiles"), [
    { name: "Connections", value: count(open.length), more: `${plural(users, "account", "accounts")}, ${count(idle)} in IDLE` },
    { name: "Commands a minute", value: last ? rate(last.commands) : "–", more: last ? `${rate(last.deliveries)} delivered` : "a moment, please" },
    { name: "Latency, 95 %", value: last?.p95Ms != null ? millis(last.p95Ms) : "–", more: last?.p50Ms != null ? `median ${millis(last.p50Ms)}` : "no command just now" },
    { name: "Mail", value: bytes(store.liveBytes), more: store.freeBytes === null ? "the disk does not answer" : `${bytes(store.freeBytes)} free on the disk` },
    { name: "Index", value: index.rebuilding ? "made again" : index.lagFrames > 100 ? "behind" : "current", more: index.rebuilding ?? lag(index) },
    {
      name: "Certificate", value: soonest ? plural(soonest.daysLeft, "day", "days") : "none",
      more: soonest ? plain(soonest.names.join(", "), 60) : "no TLS", state: certificate ? certificate.status.toLowerCase() : "",
    },
  ]);
  write(at("server"), plain(server.name, 60));
  document.title = `${plain(server.name, 60)}: relate-imap`;
  write(at("about"), `relate-imap ${server.version}, up ${span(server.up)}`);
  at("sign-out").hidden = !server.token;
}

function lag({ lagFrames }) {
  return lagFrames ? `${plural(lagFrames, "change", "changes")} behind the log` : "it holds all of the log";
}

function showStore({ store }) {
  const used = store.liveBytes + store.waitingBytes + store.deadBytes;
  const free = store.freeBytes ?? 0;
  const total = store.totalBytes ?? used;
  const other = Math.max(0, total - free - used);
  const parts = [
    { kind: "live", name: "mail", value: store.liveBytes },
    { kind: "waiting", name: "deleted, can be brought back", value: store.waitingBytes },
    { kind: "dead", name: "deleted, to be given back", value: store.deadBytes },
    { kind: "other", name: "other files", value: other },
    { kind: "free", name: "free", value: free },
  ];
  const bar = at("store-bar");
  while (bar.children.length < parts.length) bar.append(element("span"));
  parts.forEach((part, index) => {
    bar.children[index].className = `k-${part.kind}`;
    bar.children[index].style.flexGrow = part.value / Math.max(1, total);
  });
  bar.setAttribute("aria-label", parts.map((part) => `${part.name} ${bytes(part.value)}`).join(", "));
  pairs(at("store-legend"), parts.map((part) => ({ name: part.name, value: bytes(part.value), state: `k-${part.kind}` })));
  pairs(at("store-facts"), [
    { name: "accounts", value: count(store.accounts) },
    { name: "changes since the start", value: count(store.commits) },
    { name: "last change", value: store.lastCommit === null ? "none" : moment(store.lastCommit, now) },
    { name: "waiting to be written", value: count(store.queueItems) },
    { name: "failed writes", value: count(store.commitFailures), state: store.commitFailures ? "unhealthy" : "" },
  ]);
}

function showHealth() {
  const status = at("status");
  const word = health?.status ?? "Unknown";
  write(status, word);
  status.className = `pill ${word.toLowerCase()}`;
  const list = at("checks");
  const checks = health?.checks ?? [];
  while (list.children.length > checks.length) list.lastChild.remove();
  checks.forEach((check, index) => {
    let item = list.children[index];
    if (!item) {
      item = element("li");
      item.append(element("b"), element("span"), element("span"));
      list.append(item);
    }
    item.className = check.status.toLowerCase();
    write(item.children[0], check.name);
    write(item.children[1], check.status);
    write(item.children[2], plain(check.description ?? "", 300));
  });
}

function show() {
  now = latest.server.now;
  showTiles(latest);
  showStore(latest);
  showSessions();
  clients.update(latest.clients);
  write(at("clients-since"), `today, since ${moment(latest.clientsSince, now)}`);
  refusals.update(latest.refusals);
  for (const plot of plots) plot.update(latest.samples);
}

async function asked(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store", credentials: "same-origin" });
  if (answer.status === 401 || answer.status === 403) {
    location.reload();
    throw new Error("the token is asked for");
  }
  if (!answer.ok) throw new Error(`it answers ${answer.status}`);
  return answer.json();
}

let lost = null;

function reached() {
  lost = null;
  at("trouble").hidden = true;
  at("page").classList.remove("stale");
  at("page").setAttribute("aria-busy", "false");
}

function notReached() {
  lost ??= Date.now() / 1000;
  const seen = latest ? ` What is shown is of ${moment(latest.server.now, lost)}.` : "";
  write(at("trouble"), `The server cannot be reached since ${moment(lost, lost)}.${seen} It is asked again every ${EVERY_MS / 1000} seconds.`);
  at("trouble").hidden = false;
  at("page").classList.add("stale");
  write(at("status"), "Not reached");
  at("status").className = "pill unhealthy";
}

// Asks again and again, but not while nobody looks.
function keep(every, ask, failed) {
  let waiting = null;
  const turn = async () => {
    waiting = null;
    if (document.visibilityState === "hidden") return;
    try {
      await ask();
    } catch (error) {
      failed(error);
    }
    waiting = setTimeout(turn, every());
  };
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && waiting === null) turn();
  });
  turn();
}

keep(() => EVERY_MS, async () => {
  latest = await asked("/api/status");
  if (lost !== null && health) showHealth();
  show();
  reached();
}, notReached);

keep(() => (lost === null ? HEALTH_EVERY_MS : EVERY_MS), async () => {
  health = await asked("/api/health");
  if (lost === null) showHealth();
  if (latest) showTiles(latest);
}, () => {});

at("find").addEventListener("input", showSessions);
at("state").addEventListener("change", showSessions);
