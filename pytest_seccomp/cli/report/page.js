"use strict";
(() => {
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const PHASES = ["setup", "call", "teardown", "shared"], KINDS = ["test", "collect", "harness"];
const STRIDE = 1 + PHASES.length, LEVELS = 7, ROW = 18, COLUMN = 15, HEAD = 118, FIRST = 300;
const trace = read("trace");
const calls = trace.calls.map(([name, number, arch, count, tests, collection], index) =>
  ({index, number, arch, count, tests, collection, made: [], denied: 0,
    text: (name ?? String(number)) + (trace.architectures > 1 ? ` (${arch})` : "")}));
const tests = read("tests").map(([kind, nodeid, outcome, worker, rerun, run, complete, flat], index) =>
  ({index, kind: KINDS[kind], outcome, worker, rerun, run, complete, flat, counts: new Map(), denied: new Map(), total: 0,
    text: kind ? `(${KINDS[kind]}${worker ? ", " + worker : ""})` : nodeid + (rerun ? ` (rerun ${rerun})` : ""), nodeid}));
let most = 1;
for (const test of tests) {
  for (let at = 0; at < test.flat.length; at += STRIDE) {
    let sum = 0;
    for (let phase = 1; phase < STRIDE; phase++) sum += test.flat[at + phase];
    const call = calls[test.flat[at]];
    test.counts.set(call.index, sum);
    test.total += sum;
    call.made.push(test);
    most = Math.max(most, sum);
  }
}
const denials = trace.denials ?? [];
const byRun = new Map(tests.filter((test) => test.kind === "test").map((test) => [JSON.stringify([test.nodeid, test.rerun]), test]));
for (const denial of denials) {
  denial.test = byRun.get(JSON.stringify([denial.nodeid, denial.rerun]));
  const call = calls[denial.call];
  call.denied += denial.count;
  if (denial.test) denial.test.denied.set(call.index, (denial.test.denied.get(call.index) ?? 0) + denial.count);
}
const columnsOf = trace.order.map((index) => calls[index]).filter((call) => call.count || call.denied);

const $ = (id) => document.getElementById(id);
const number = (count) => count.toLocaleString("en");
const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
/* Texts of a trace go into text nodes alone: they may be anything */
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value); else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};

/* What is shown */
let rows = [], columns = [], chosen = {}, colours = {};
const sorted = {
  file: () => 0,
  name: (one, other) => (one.text < other.text ? -1 : one.text > other.text ? 1 : 0),
  count: (one, other) => other.total - one.total,
  distinct: (one, other) => other.counts.size - one.counts.size,
};
const find = () => {
  const inTests = $("find-tests").value.trim().toLowerCase(), inCalls = $("find-calls").value.trim().toLowerCase();
  columns = columnsOf.filter((call) => call.text.toLowerCase().includes(inCalls));
  rows = tests.filter((test) => test.text.toLowerCase().includes(inTests) &&
    (!inCalls || columns.some((call) => test.counts.has(call.index) || test.denied.has(call.index))));
  rows.sort(sorted[$("order").value]);
  $("shown").textContent = `${number(rows.length)} of ${plural(tests.length, "row")}, ${number(columns.length)} of ${plural(columnsOf.length, "call")}`;
  $("size").style.height = `${HEAD + rows.length * ROW + 8}px`;
  $("size").style.width = `${labels() + columns.length * COLUMN + 8}px`;
  showDenials();
  draw();
};

/* The map: only what is in sight is drawn */
const labels = () => Math.round(Math.min(420, $("scroll").clientWidth * 0.45));
const level = (count) => Math.max(1, Math.ceil((Math.log1p(count) / Math.log1p(most)) * LEVELS));
const readColours = () => {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "ink", "quiet", "line", "panel", "mark", "bad"]) colours[name] = style.getPropertyValue(`--${name}`);
  colours.heat = Array.from({length: LEVELS}, (_, index) => style.getPropertyValue(`--heat-${index + 1}`));
};
const shortened = (context, text, width) => {
  /* Of a test's id the end tells more */
  if (context.measureText(text).width <= width) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (context.measureText("…" + text.slice(middle)).width <= width) high = middle; else low = middle + 1;
  }
  return "…" + text.slice(low);
};
const draw = () => {
  const canvas = $("canvas"), scroll = $("scroll"), scale = window.devicePixelRatio || 1;
  const width = scroll.clientWidth, height = scroll.clientHeight, left = labels();
  if (!width || !height) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  const {scrollTop: top, scrollLeft: across} = scroll;
  const firstRow = Math.floor(top / ROW), lastRow = Math.min(rows.length, Math.ceil((top + height - HEAD) / ROW));
  const firstColumn = Math.floor(across / COLUMN), lastColumn = Math.min(columns.length, Math.ceil((across + width - left) / COLUMN));
  for (let row = firstRow; row < lastRow; row++) {
    const test = rows[row], y = HEAD + row * ROW - top;
    const ground = test === chosen.test ? colours.mark : row % 2 ? colours.panel : colours.paper;
    context.fillStyle = ground;
    context.fillRect(0, y, width, ROW);
    for (let column = firstColumn; column < lastColumn; column++) {
      const call = columns[column], x = left + column * COLUMN - across;
      if (call === chosen.call && test !== chosen.test) {
        context.fillStyle = colours.mark;
        context.fillRect(x, y, COLUMN, ROW);
      }
      const count = test.counts.get(call.index);
      if (count) {
        context.fillStyle = colours.heat[level(count) - 1];
        context.fillRect(x + 1, y + 1, COLUMN - 2, ROW - 2);
      }
      if (test.denied.has(call.index)) {
        context.strokeStyle = colours.bad;
        context.lineWidth = 2;
        context.strokeRect(x + 2, y + 2, COLUMN - 4, ROW - 4);
      }
    }
    context.fillStyle = ground;
    context.fillRect(0, y, left, ROW);
    context.fillStyle = test.outcome === "failed" || test.outcome === "error" || !test.complete ? colours.bad : test.kind === "test" ? colours.ink : colours.quiet;
    context.fillText(shortened(context, test.text, left - 16), 8, y + ROW / 2);
  }
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, HEAD);
  context.save();
  context.beginPath();
  context.rect(left, 0, width - left, HEAD);
  context.clip();
  for (let column = firstColumn; column < lastColumn; column++) {
    const call = columns[column];
    context.save();
    context.translate(left + column * COLUMN - across + COLUMN / 2, HEAD - 6);
    context.rotate(-Math.PI / 2);
    context.fillStyle = call.denied ? colours.bad : call === chosen.call ? colours.ink : colours.quiet;
    if (call === chosen.call) context.font = "bold 12px system-ui, sans-serif";
    context.fillText(shortened(context, call.text, HEAD - 12), 0, 0);
    context.restore();
  }
  context.restore();
  context.fillStyle = colours.line;
  context.fillRect(0, HEAD - 1, width, 1);
  context.fillRect(left - 1, 0, 1, height);
};
const at = (event) => {
  const scroll = $("scroll"), box = scroll.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const row = Math.floor((y - HEAD + scroll.scrollTop) / ROW), column = Math.floor((x - labels() + scroll.scrollLeft) / COLUMN);
  return {test: y >= HEAD ? rows[row] : undefined, call: x >= labels() ? columns[column] : undefined, x, y};
};

/* Details */
const link = (text, target) => make("button", {type: "button", onclick: () => choose(target)}, text);
const table = (titles, body) =>
  make("table", {}, make("thead", {}, make("tr", {}, ...titles.map((title) => make("th", title.startsWith("#") ? {class: "n"} : {}, title.replace("#", ""))))), make("tbody", {}, ...body));
const cell = (content, kind = "n") => make("td", {class: kind}, content);
const counted = (count) => (count ? number(count) : "");
/* Long lists come in parts: a page with all of them at once is slow */
const long = (element, titles, all, row) => {
  const shown = table(titles, all.slice(0, FIRST).map(row));
  element.append(shown);
  if (all.length > FIRST) {
    const more = make("button", {type: "button"}, `show ${number(all.length - FIRST)} more`);
    more.addEventListener("click", () => { shown.tBodies[0].append(...all.slice(FIRST).map(row)); more.remove(); });
    element.append(more);
  }
};
const showOverview = (element) => {
  element.append(make("h2", {}, plural(columnsOf.length, "call")), make("p", {}, "Choose a row, a column or a cell of the map, or a call here."));
  long(element, ["call", "#count", "#tests", "#collection"], columnsOf, (call) =>
    make("tr", {}, cell(link(call.text, {call}), "call"), cell(counted(call.count)), cell(counted(call.tests)), cell(counted(call.collection))));
};
const showTest = (element, test) => {
  element.append(make("h2", {}, test.text));
  const facts = [test.kind === "test" ? (test.outcome ?? "did not finish") : "no test", plural(test.total, "call"), `${number(test.counts.size)} kinds`];
  if (test.worker) facts.push(`worker ${test.worker}`);
  if (trace.runs.length > 1) facts.push(`run ${test.run}`);
  element.append(make("p", {}, facts.join(", ")));
  if (!test.complete) element.append(make("p", {class: "bad"}, "INCOMPLETE: calls may be missing"));
  const entries = [];
  for (let position = 0; position < test.flat.length; position += STRIDE) entries.push(test.flat.slice(position, position + STRIDE));
  const sum = (entry) => test.counts.get(entry[0]);
  entries.sort((one, other) => sum(other) - sum(one));
  const phases = test.kind === "test" ? PHASES : [];
  long(element, ["call", ...phases.map((phase) => "#" + phase), "#all"], entries, (entry) => make("tr", {},
    cell(link(calls[entry[0]].text, {call: calls[entry[0]]}), "call"), ...phases.map((_, phase) => cell(counted(entry[phase + 1]))), cell(number(sum(entry)))));
};
const showCall = (element, call) => {
  element.append(make("h2", {}, call.text));
  element.append(make("p", {}, `number ${call.number} of ${call.arch}; ${plural(call.count, "call")}: in ${plural(call.tests, "test")}, ${number(call.collection)} in collection${call.denied ? `; denied ${plural(call.denied, "time")}` : ""}`));
  const made = [...call.made].sort((one, other) => other.counts.get(call.index) - one.counts.get(call.index));
  long(element, ["made by", "#count"], made, (test) => make("tr", {}, cell(link(test.text, {test}), "id"), cell(number(test.counts.get(call.index)))));
};
const showDetails = () => {
  const element = $("details");
  element.replaceChildren();
  element.scrollTop = 0;
  if (chosen.test || chosen.call) {
    element.append(make("p", {}, link("← all calls", {})));
  }
  if (chosen.test && chosen.call) {
    const {test, call} = chosen, count = test.counts.get(call.index) ?? 0, denied = test.denied.get(call.index);
    element.append(make("p", {}, `${call.text}: ${plural(count, "call")} here${denied ? `, denied ${plural(denied, "time")}` : ""}. `, link("Who else makes it", {call})));
  }
  if (chosen.test) showTest(element, chosen.test);
  else if (chosen.call) showCall(element, chosen.call);
  else showOverview(element);
};
const reveal = ({test, call}) => {
  const scroll = $("scroll"), row = rows.indexOf(test), column = columns.indexOf(call);
  const y = row * ROW, x = column * COLUMN, height = scroll.clientHeight - HEAD, width = scroll.clientWidth - labels();
  if (row >= 0 && y < scroll.scrollTop) scroll.scrollTop = y;
  if (row >= 0 && y + ROW > scroll.scrollTop + height) scroll.scrollTop = y + ROW - height;
  if (column >= 0 && x < scroll.scrollLeft) scroll.scrollLeft = x;
  if (column >= 0 && x + COLUMN > scroll.scrollLeft + width) scroll.scrollLeft = x + COLUMN - width;
};
const choose = (target) => {
  chosen = target;
  reveal(target);
  showDetails();
  draw();
};
const showDenials = () => {
  const element = $("denials");
  element.replaceChildren(make("h2", {}, "Denials"));
  if (trace.denials === null) {
    element.append(make("p", {}, "No deny log was given (pytest --seccomp-deny-log=PATH, show --denials PATH)."));
    return;
  }
  for (const reason of trace.denial_reasons) element.append(make("p", {class: "bad"}, `INCOMPLETE: ${reason}`));
  const inTests = $("find-tests").value.trim().toLowerCase(), inCalls = $("find-calls").value.trim().toLowerCase();
  const found = denials.filter((denial) => (denial.nodeid ?? "").toLowerCase().includes(inTests) && calls[denial.call].text.toLowerCase().includes(inCalls));
  element.append(make("p", {}, `${number(found.length)} of ${number(denials.length)}; those that nobody expected are marked`));
  if (found.length) long(element, ["call", "action", "#times", "process", "test", "phase"], found, (denial) => make("tr", denial.expected ? {} : {class: "unexpected"},
    cell(link(calls[denial.call].text, {call: calls[denial.call]}), "call"), cell(denial.action + (denial.errno ? `: ${denial.errno}` : ""), "id"), cell(number(denial.count)),
    cell(`${denial.comm}[${denial.pid}]${denial.exe ? " " + denial.exe : ""}`, "id"),
    cell(denial.test ? link(denial.test.text, {test: denial.test}) : denial.nodeid ?? "", "id"), cell(denial.phase + (denial.expected ? ", expected" : ""), "id")));
};

/* The page */
$("state").textContent = trace.complete ? "complete" : "INCOMPLETE";
$("state").classList.toggle("bad", !trace.complete);
$("figures").textContent = trace.figures;
if (denials.length) $("figures").append(", ", make("a", {href: "#denials"}, plural(denials.length, "denial")));
$("reasons").append(...trace.reasons.map((reason) => make("li", {}, `calls may be missing: ${reason}`)));
$("runs").querySelector("summary").textContent = `${plural(trace.runs.length, "run")} in ${trace.file}`;
$("runs").querySelector("ul").append(...trace.runs.map((run) => make("li", {}, run)));
document.title = `${trace.file}: system calls`;
$("legend").append("1", ...Array.from({length: LEVELS}, (_, index) => make("i", {style: `background: var(--heat-${index + 1})`})), number(most));
for (const id of ["find-tests", "find-calls"]) $(id).addEventListener("input", find);
$("order").addEventListener("change", find);
const scroll = $("scroll"), tip = $("tip");
scroll.addEventListener("scroll", () => { tip.hidden = true; requestAnimationFrame(draw); });
scroll.addEventListener("click", (event) => { const {test, call} = at(event); choose({test, call}); });
scroll.addEventListener("mousemove", (event) => {
  const {test, call, x, y} = at(event);
  tip.hidden = !test && !call;
  const count = test && call ? `\n${call.text}: ${number(test.counts.get(call.index) ?? 0)}` : "";
  const denied = test && call && test.denied.get(call.index);
  tip.textContent = test ? test.text + count + (denied ? `, denied ${denied}` : "") : call ? `${call.text}: ${number(call.count)} in ${plural(call.tests, "test")}` : "";
  tip.style.left = `${Math.max(0, Math.min(x + 14, scroll.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > scroll.clientHeight ? y - tip.offsetHeight - 8 : y + 18}px`;
});
scroll.addEventListener("mouseleave", () => { tip.hidden = true; });
scroll.addEventListener("keydown", (event) => {
  const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
  if (event.key === "Escape") choose({});
  if (!step || !rows.length || !columns.length) return;
  event.preventDefault();
  const within = (index, move, length) => Math.max(0, Math.min(length - 1, index < 0 ? 0 : index + move));
  const row = within(rows.indexOf(chosen.test), step[0], rows.length), column = within(columns.indexOf(chosen.call), step[1], columns.length);
  choose({test: rows[row], call: columns[column]});
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
new ResizeObserver(find).observe($("map"));
readColours();
showDetails();
find();
})();
