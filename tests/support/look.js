// What tests/cli/test_report.py does with a page, and what it sees: into an element of its own.
addEventListener("load", () => {
  const $ = (id) => document.getElementById(id), scroll = $("scroll"), seen = {};
  const type = (id, text) => { $(id).value = text; $(id).dispatchEvent(new Event("input")); };
  const pixel = (x, y) => [...$("canvas").getContext("2d").getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data].join();
  const click = (x, y) => {
    const box = scroll.getBoundingClientRect();
    scroll.dispatchEvent(new MouseEvent("click", {clientX: box.left + x, clientY: box.top + y}));
  };
  const details = () => [...$("details").querySelectorAll("h2, tbody tr")].map((row) => [...row.childNodes].map((node) => node.textContent));
  const LEFT = Math.round(Math.min(420, scroll.clientWidth * 0.45)), HEAD = 118, ROW = 18, COLUMN = 15;
  const row = (index) => HEAD + index * ROW + ROW / 2, column = (index) => LEFT + index * COLUMN + COLUMN / 2;
  seen.title = document.title;
  seen.state = $("state").textContent;
  seen.figures = $("figures").textContent;
  seen.all = $("shown").textContent;
  seen.calls = details();
  seen.ground = pixel(column(6), row(2));
  seen.getpid = pixel(column(0), row(2));
  seen.socket = pixel(column(2), row(2));
  type("find-tests", "number_4711[");
  seen.found = $("shown").textContent;
  click(100, row(0));
  seen.test = details();
  type("find-tests", "");
  type("find-calls", "sock");
  seen.makers = $("shown").textContent;
  click(column(0), 50);
  seen.call = details();
  seen.denials = [...$("denials").querySelectorAll("tbody tr")].map((row) => [row.className, ...[...row.cells].map((cell) => cell.textContent)]);
  type("find-calls", "");
  scroll.scrollTop = 1e9;
  seen.bottom = scroll.scrollTop + scroll.clientHeight >= HEAD + 5000 * ROW;
  scroll.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown"}));
  seen.first = details()[0];
  seen.images = document.images.length;
  seen.requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  $("seen").textContent = JSON.stringify(seen);
});
