"use strict";
// The page of `python -m hil watch`. Whatever comes from a pump is put in by textContent alone: it is text, never markup.

const TOKEN = document.querySelector('meta[name="token"]').content;
const SILENT_MS = 12000; // the watch sends something every 5 s
const LINES = [
  { label: "programmed", stroke: "#9aa3ad", width: 5 },
  { label: "delivered", stroke: "#0072B2", width: 2 },
  { label: "witnessed", stroke: "#009E73", width: 2, dash: [8, 5] },
];
const WORDS = { answering: ["good", "answering"], silent: ["bad", "does not answer"], gone: ["bad", "line gone"], connecting: ["wait", "connecting"] };
const LEAST_OFF = 0.05; // mcg: a few steps are no deviation to look at
const RANGES = {
  dose: (low, high) => uPlot.rangeNum(Math.min(0, low), Math.max(0.05, high), 0.08, true),
  off: (low, high) => uPlot.rangeNum(Math.min(-LEAST_OFF, low), Math.max(LEAST_OFF, high), 0.08, false),
  rates: (low, high) => [0, 1.2 * Math.max(0.1, high)],
};
const pumps = [];

const whole = (text) => { const found = /^-?\d+/.exec(text || ""); return found ? Number(found[0]) : null; };
const mcg = (ng, digits) => (ng === null ? "–" : (ng / 1000).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const span = (s) => (s >= 86400 ? `${Math.floor(s / 86400)} d ` : "") + new Date((s % 86400) * 1000).toISOString().slice(11, 19);

class Pump {
  constructor(number) {
    this.number = number;
    this.root = document.getElementById("pump").content.firstElementChild.cloneNode(true);
    this.root.id = `pump-${number}`;
    document.getElementById("pumps").append(this.root);
    this.columns = [[], [], [], [], []];
    this.offset = 0;
    this.busy = false;
    this.of("mute").addEventListener("click", () => this.act({ act: "mute" }, "mute"));
    this.charts = [
      this.chart("dose", LINES, (c) => [c[0], c[1], c[2], c[3]]),
      this.chart("off", LINES.slice(1), (c) => [c[0], this.less(c[2], c[1]), this.less(c[3], c[1])]),
      this.chart("rates", [{ label: "rate", stroke: "#0072B2", width: 2, paths: uPlot.paths.stepped({ align: 1 }) }], (c) => [c[0], c[4]]),
    ];
  }

  of(name) { return this.root.querySelector(`[data-of="${name}"]`); }
  set(name, text) { const there = this.of(name); if (there.textContent !== text) there.textContent = text; }
  less(a, b) { return a.map((y, i) => (y === null || b[i] === null ? null : y - b[i])); }

  chart(name, lines, pick) {
    const box = this.of(name);
    const size = () => ({ width: Math.max(200, box.clientWidth), height: box.clientHeight });
    const values = element("p", "legend", "");
    box.before(values);
    const shown = lines.map((line) => {
      const swatch = element("span", "swatch", "");
      swatch.style.borderTop = `${line.width}px ${line.dash ? "dashed" : "solid"} ${line.stroke}`;
      const value = element("b", "", "–");
      const entry = element("span", "entry", "");
      entry.append(swatch, element("span", "", line.label), value);
      values.append(entry);
      return value;
    });
    const tell = (u) => shown.forEach((value, i) => {
      const column = u.data[i + 1], at = u.cursor.idx ?? column.length - 1, y = column[at];
      value.textContent = y === null || y === undefined ? "–" : y.toFixed(3);
    });
    const plot = new uPlot({
      ...size(),
      tzDate: (s) => uPlot.tzDate(new Date((s + this.offset) * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      hooks: { setCursor: [tell], setData: [tell] },
      axes: [
        { stroke: "#57606a", grid: { stroke: "#e3e6ea", width: 1 }, space: 62, size: 30, values: (u, at, axis, space, step) => at.map((s) => this.clock(s, step)) },
        { stroke: "#57606a", grid: { stroke: "#e3e6ea", width: 1 }, size: 62, space: 26 },
      ],
      scales: { y: { range: (u, low, high) => RANGES[name](low ?? 0, high ?? 0) } },
      series: [{}, ...lines.map((line) => ({ ...line, points: { show: false } }))],
    }, pick(this.columns), box);
    new ResizeObserver(() => plot.setSize(size())).observe(box);
    return { plot, pick };
  }

  clock(s, step) {
    const text = new Date((s + this.offset) * 1000).toISOString();
    return step >= 86400 ? text.slice(5, 10) : text.slice(11, step >= 60 ? 16 : 19);
  }

  show(news) {
    this.grow(news);
    const { stat, supplies, identity } = news;
    const [look, word] = WORDS[news.connection] || WORDS.connecting;
    this.root.dataset.connection = news.connection;
    this.root.classList.toggle("stale", news.connection !== "answering");
    this.set("name", news.url + (identity.board ? ` (${identity.board}, ${identity.uid})` : ""));
    const chip = this.of("connection");
    chip.className = `chip ${look}`;
    this.set("connection", news.connection !== "answering" && news.age_s !== null ? `${word}, last answer ${Math.round(news.age_s)} s ago` : word);
    this.set("evidence", news.evidence);
    this.set("rights", news.can_act && TOKEN ? "may acknowledge" : "read-only");
    this.of("why").hidden = !news.why;
    this.set("why", news.why);
    this.of("key").hidden = stat.key !== "default";
    if (stat.state) this.figures(news, stat, supplies);
    this.alarms(news);
    this.log(news.log);
  }

  figures(news, stat, supplies) {
    const left = whole(stat.res), capacity = whole(supplies.capacity);
    this.set("state", stat.state);
    this.set("program", stat.prog === "none" ? "no program" : `${stat.prog} ${stat.hash}`);
    this.set("rate", `${mcg(whole(stat.rate), 3)} mcg/h`);
    this.set("phase", `phase ${stat.phase}, ${stat.fluid}`);
    this.set("day", `${mcg(whole(stat.day), 1)} mcg`);
    this.set("witness", `witnessed ${mcg(whole(stat.day_wit), 1)} mcg`);
    this.set("reservoir", left === null ? "–" : `${(left / 1e6).toFixed(3)} mL`);
    this.of("level").value = capacity ? left / capacity : 0;
    this.set("refill", news.refill_by ? `refill by ${news.refill_by.slice(0, 16)}` : "refill date not known");
    this.set("battery", `${whole(stat.battery)} mV`);
    this.set("days", supplies.days && supplies.days !== "unknown" ? `${supplies.days} days left` : "");
    this.set("clock", news.now ? news.now.slice(11) : "lost");
    const observe = whole(stat.obs);
    this.set("observation", (news.now ? news.now.slice(0, 10) : "") + (observe ? `, observe ${span(observe)}` : ""));
  }

  alarms(news) {
    const may = news.can_act && TOKEN !== "";
    this.of("mute").hidden = !may || news.alarms.length === 0;
    this.of("mute").disabled = this.busy || news.connection !== "answering";
    const told = JSON.stringify([news.alarms, may, this.busy, news.connection]);
    if (told === this.told) return;
    this.told = told;
    const list = this.of("alarms");
    list.replaceChildren();
    if (news.alarms.length === 0) list.append(item("none", [["span", "grow", news.stat.state ? "none on" : "not known"]]));
    for (const alarm of news.alarms) {
      const row = item(["HIGH", "MEDIUM", "LOW"].includes(alarm.priority) ? alarm.priority : "LOW", [
        ["b", "", alarm.id], ["span", "", (alarm.priority || "").toLowerCase()], ["span", "grow", alarm.text || ""],
        ["span", "", `${alarm.cause === "on" ? "cause there" : "cause gone"}${alarm.acked === "yes" ? ", acknowledged" : ""}${alarm.since ? `, since ${alarm.since}` : ""}`],
      ]);
      if (may && alarm.acked !== "yes") {
        const button = element("button", "", "Acknowledge");
        button.type = "button";
        button.disabled = this.busy || news.connection !== "answering";
        button.addEventListener("click", () => this.act({ act: "ack", id: alarm.id }, alarm.id));
        row.append(button);
      }
      list.append(row);
    }
  }

  log(entries) {
    const newest = entries.length ? `${entries.length} ${entries[entries.length - 1].n} ${entries[0].n} ${entries[entries.length - 1].wall}` : "";
    if (newest === this.newest) return;
    this.newest = newest;
    this.of("log").replaceChildren(...entries.slice().reverse().map((entry) => {
      const row = document.createElement("tr");
      row.append(element("td", "", (entry.wall || `+${span((whole(entry.t) || 0) / 1000)}`).replaceAll("-", "\u2011")), element("td", "", entry.what), element("td", "", entry.text));
      return row;
    }));
  }

  grow(news) {
    this.offset = news.offset_s;
    if (news.again) this.columns = [[], [], [], [], []];
    for (const point of news.points) point.forEach((y, i) => this.columns[i].push(i && y !== null ? y / 1000 : y));
    if (news.again || news.points.length) for (const { plot, pick } of this.charts) plot.setData(pick(this.columns));
  }

  async act(wanted, name) {
    this.busy = true;
    this.set("said", `${name}: asking the pump`);
    try {
      const answer = await fetch("/act", {
        method: "POST", headers: { "Content-Type": "application/json", "X-Watch-Token": TOKEN }, body: JSON.stringify({ pump: this.number, ...wanted }),
      });
      this.set("said", `${name}: ${(await answer.json()).said}`);
    } catch (error) {
      this.set("said", `${name}: not known whether it was done, the watch does not answer`);
    }
    this.busy = false;
  }
}

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.textContent = text === undefined || text === null ? "" : String(text);
  return made;
}

function item(name, parts) {
  const made = element("li", name);
  for (const part of parts) made.append(element(...part));
  return made;
}

// ---- the stream: it comes back by itself when the watch does

const link = document.getElementById("link");
let heard = 0, stream = null;

function linked(good, words) {
  link.className = `chip ${good ? "good" : "bad"}`;
  link.textContent = words;
  if (!good) for (const pump of pumps) pump.root.classList.add("stale");
}

function open() {
  if (stream) stream.close();
  heard = Date.now();
  stream = new EventSource("/events");
  stream.onopen = () => linked(true, "live");
  stream.onmessage = (event) => {
    heard = Date.now();
    const news = JSON.parse(event.data);
    linked(true, "live");
    if (pumps[news.pump]) pumps[news.pump].show(news);
  };
  stream.onerror = () => linked(false, "the watch is gone; trying again");
}

for (let i = 0; i < Number(document.getElementById("pumps").dataset.count); i += 1) pumps.push(new Pump(i));
open();
setInterval(() => { if (Date.now() - heard > SILENT_MS) { linked(false, "the watch is gone; trying again"); open(); } }, 2000);
